"""The faults that `plant_faults.py` plants: each has been seen to be noticed by the tests beside it."""

from plant_faults import Fault

FAULTS = (
    # Those that once passed the whole suite
    Fault(
        "alpha is divided without the gain of the kernel", "filtering.py",
        "np.clip(alpha * alpha.dtype.type(1 / gain), 0, 1)", "np.clip(alpha, 0, 1)",
        "test_pixels.py::TestAlpha",
    ),
    Fault(
        "status 1 for skipped and failed files", "report.py",
        'if self.counts["done"] + self.counts["skipped"] else', 'if self.counts["done"] else',
        "test_cli_batches.py::TestReports",
    ),
    Fault(
        "sums_to_one takes 1e-4 for nothing", "kernel.py",
        "abs(self.sum - 1) < 1e-12", "abs(self.sum - 1) < 1e-4",
        "test_exactness.py::test_a_kernel_that_almost_sums_to_1_is_not_taken_for_one_that_does",
    ),
    Fault(
        "the ridge is scaled by the number of weights", "solution.py",
        "ridge * float(np.trace(gram)) / len(gram)", "ridge * float(np.trace(gram))",
        "test_learning_linear.py::test_the_ridge_is_a_share_of_the_mean_power_whatever_the_size",
    ),
    Fault(
        "dropout without its factor", "layers.py",
        "kept * np.asarray(1 / (1 - self.share), x.dtype)", "kept.astype(x.dtype)",
        "test_net_equations.py::test_dropout_keeps_the_mean_of_what_it_passes_forward_and_back",
    ),
    Fault(
        "TIFF directories at odd addresses", "tiff_writing.py",
        "end = int(ends[-1]) + int(ends[-1]) % 2", "end = int(ends[-1])",
        "test_imagefile_tiff.py::test_directories_and_values_lie_at_even_addresses",
    ),
    Fault(
        "TIFF values at odd addresses", "ifd.py",
        'tail += data + b"\\0" * (len(data) % 2)', "tail += data",
        "test_imagefile_tiff.py::test_directories_and_values_lie_at_even_addresses",
    ),
    Fault(
        "a shift is taken whatever it gains", "registration.py",
        "error(best) < 0.5 * error((0, 0))", "error(best) < 0.9 * error((0, 0))",
        "test_learning_moments.py::test_a_shift_is_taken_where_it_more_than_halves_the_squared_error",
    ),
    Fault(
        "a shift has to gain very much", "registration.py",
        "error(best) < 0.5 * error((0, 0))", "error(best) < 0.3 * error((0, 0))",
        "test_learning_moments.py::test_a_shift_is_taken_where_it_more_than_halves_the_squared_error",
    ),
    Fault(
        "padded sides are not held against the limit of pixels", "process.py",
        "max(*padded, shape[0] * shape[1]) > self.max_pixels", "shape[0] * shape[1] > self.max_pixels",
        "test_cli_inputs.py::TestExtremes",
    ),
    # Geometry, boundaries, plans
    Fault(
        "same padding puts the odd pixel before", "geometry.py",
        '"same": ((reach - 1) // 2, reach // 2)', '"same": (reach // 2, (reach - 1) // 2)',
        "test_geometry.py",
    ),
    Fault(
        "the inside begins one output early", "geometry.py",
        "first = min(-(-self.before // self.stride)", "first = min(self.before // self.stride",
        "test_geometry.py",
    ),
    Fault(
        "a stride of a single output is kept", "geometry.py",
        "if axis.output == 1:", "if axis.output == 0:",
        "test_cli_inputs.py::TestExtremes",
    ),
    Fault(
        "sides beyond 2**31 are let in", "geometry.py",
        "LARGEST = 2**31 - 1", "LARGEST = 2**40",
        "test_geometry.py::test_numbers_fit_32_bits",
    ),
    Fault(
        "reflect repeats with a period one too long", "boundary.py",
        "period = max(2 * (length - 1), 1)", "period = max(2 * length - 1, 1)",
        "test_boundary.py::test_maps_are_those_of_numpy_pad",
    ),
    Fault(
        "symmetric as reflect at the end", "boundary.py",
        "np.minimum(place, 2 * length - 1 - place)", "np.minimum(place, 2 * length - 2 - place)",
        "test_boundary.py::test_maps_are_those_of_numpy_pad",
    ),
    Fault(
        "8-bit sums stray before float64 is taken", "plan.py",
        "2 * operations**0.5 * UNIT * largest < 5e-4", "2 * operations**0.5 * UNIT * largest < 5e-1",
        "test_exactness.py::test_sums_that_grow_before_they_shrink_are_rounded_right",
    ),
    Fault(
        "float32 sums however long", "plan.py",
        'return "float32" if operations <= longest else "float64"', 'return "float32"',
        "test_plan.py::test_float_sums_keep_four_digits_however_many_there_are",
    ),
    Fault(
        "the recursive Gaussian may be off by five grey levels", "plan.py",
        "if 255 * error > 0.5:", "if 255 * error > 5:",
        "test_plan.py::test_a_recursive_gaussian_is_refused_where_it_is_off_by_more_than_half_a_grey_level",
    ),
    Fault(
        "renormalize forgets the sum of the kernel", "renormalized.py",
        'kernel.sum / weights, (_nearest', '1 / weights, (_nearest',
        "test_boundary.py::test_renormalize_divides_by_the_weights_inside",
    ),
    Fault(
        "renormalized integers are not saturated", "renormalized.py",
        'exact = np.clip(np.rint(exact), limits.min, limits.max)', 'exact = np.rint(exact)',
        "test_boundary.py::test_renormalized_integers_saturate_and_round_to_even",
    ),
    # Kernels
    Fault(
        "float kernels of rank 2 pass for rank 1", "factoring.py",
        "if np.linalg.norm(scaled - product) > RANK_TOLERANCE * np.linalg.norm(product):",
        "if np.linalg.norm(scaled - product) > 1e-9 * np.linalg.norm(product):",
        "test_kernel.py",
    ),
    Fault(
        "-0.0 and 0.0 hash apart", "kernel.py",
        "(self.weights + 0.0).tobytes()", "self.weights.tobytes()",
        "test_kernel.py",
    ),
    Fault(
        "a Gaussian is cut at three sigma", "gaussian.py",
        "return 2 * math.ceil(4 * sigma) + 1", "return 2 * math.ceil(3 * sigma) + 1",
        "test_templates.py",
    ),
    Fault(
        "an even impulse stands after the centre", "formulas.py",
        "weights[(rows - 1) // 2, (columns - 1) // 2] = 1", "weights[rows // 2, columns // 2] = 1",
        "test_templates.py",
    ),
    # Pixels
    Fault(
        "floats are cut off, not rounded", "rounding.py",
        "np.rint(part, out=part)", "np.trunc(part, out=part)",
        "test_pixels.py",
    ),
    Fault(
        "halves are rounded up", "rounding.py",
        "np.rint(part, out=part)", "np.floor(part + 0.5, out=part)",
        "test_pixels.py",
    ),
    Fault(
        "the ends of the range count as limited", "rounding.py",
        "(part >= low) & (part <= high)", "(part > low) & (part < high)",
        "test_pixels.py",
    ),
    Fault(
        "mid-grey of 8 bits is 127.5", "rounding.py",
        "low + (high - low + 1) / 2", "low + (high - low) / 2",
        "test_pixels.py",
    ),
    Fault(
        "the sRGB curve without its straight part", "light.py",
        "size <= 0.0031308, size * 12.92, curve", "size <= 0, size * 12.92, curve",
        "test_pixels.py",
    ),
    Fault(
        "hidden colours are filled from blocks that count the edge twice", "hidden.py",
        "counts = np.diff(np.append(starts, values.shape[axis])).astype(values.dtype)",
        "counts = np.full(len(starts), 2, values.dtype)",
        "test_pixels.py::TestHidden",
    ),
    # Strips
    Fault(
        "an output alone is computed alone", "reading.py",
        "return (begin, end + 1) if end < axis.output else (begin - 1, end)", "return begin, end",
        "test_lazy.py::test_blocks_have_the_bytes_of_the_whole",
    ),
    Fault(
        "tiles of a transform begin where the part does", "reading.py",
        "begin, end = first // grid * grid, min(-(-last // grid) * grid, axis.output)",
        "begin, end = first, last",
        "test_lazy.py::test_transforms_have_the_bytes_of_the_whole",
    ),
    Fault(
        "a mirror in another part is taken for one in this part", "reading.py",
        "if np.array_equal(np.where(own < 0, own, own + start), places):", "if True:",
        "test_lazy.py::test_blocks_have_the_bytes_of_the_whole",
    ),
    Fault(
        "what is fetched to stand beside the image may be missing there", "parts.py",
        "is_masked(result) and outside.any()", "False",
        "test_lazy.py::test_missing_pixels_are_those_of_the_whole",
    ),
    Fault(
        "the extremes of directions stay radians", "parts.py",
        "if span is None:", "if True:",
        "test_chain.py::test_a_stretch_of_directions_is_the_same_in_strips",
    ),
    Fault(
        "a block may take all the memory there is", "memory.py",
        "(memory - held) // UNDER_WAY", "memory",
        "test_lazy_files.py::test_too_little_memory_is_refused_with_what_would_do",
    ),
    Fault(
        "a strip is stored before the one below has read its rows", "chain.py",
        "if index > first + 1:", "if index > first:",
        "test_chain.py",
    ),
    Fault(
        "strips may be lower than what is mirrored", "plan.py",
        'max(2 * self._reach, STRIP // self._row, 1)', 'max(self._reach // 4, STRIP // self._row, 1)',
        "test_chain.py",
    ),
    Fault(
        "values that two parts make are counted twice", "chain.py",
        "if first < self.limit:  #", "if True:  #",
        "test_chain.py",
    ),
    Fault(
        "rows between two filters are rounded", "plan.py",
        'if limited else None, "depth": floats}', 'if limited else None, "depth": self.dtype}',
        "test_cli_images.py::TestPipeCommand",
    ),
    # Files
    Fault(
        "EXIF orientations 6 and 8 are exchanged", "exif.py",
        "if orientation in (3, 4, 7, 8):\n        array = array[::-1]\n    if orientation in (2, 3, 6, 7):",
        "if orientation in (3, 4, 7, 6):\n        array = array[::-1]\n    if orientation in (2, 3, 8, 7):",
        "test_imagefile_metadata.py::test_the_image_stands_as_the_viewer_sees_it",
    ),
    Fault(
        "EXIF orientations 5 and 7 are exchanged", "exif.py",
        "if orientation in (3, 4, 7, 8):\n        array = array[::-1]\n    if orientation in (2, 3, 6, 7):",
        "if orientation in (3, 4, 5, 8):\n        array = array[::-1]\n    if orientation in (2, 3, 6, 5):",
        "test_imagefile_metadata.py::test_the_image_stands_as_the_viewer_sees_it",
    ),
    Fault(
        "the thumbnail of the unfiltered image is left in place", "exif.py",
        "block[start:end] = bytes(max(0, end - start))", "pass",
        "test_imagefile_metadata.py::test_the_thumbnail_of_the_unfiltered_image_is_erased",
    ),
    Fault(
        "checksums of PNG chunks are not looked at", "png.py",
        'zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4], "big")', "False",
        "test_imagefile_png.py::test_every_damaged_byte_is_found_or_harmless",
    ),
    Fault(
        "checksums of strips are joined wrongly", "deflate.py",
        "(high + high_2 + length * (low - 1))", "(high + high_2 + length * low)",
        "test_imagefile_png.py::test_a_stream_is_the_same_for_any_number_of_threads",
    ),
    Fault(
        "sub-filter of PNG with the bytes of another pixel", "deflate.py",
        "out[:, :pixel] = rows[:, :pixel] - (above[:, :pixel] >> 1)", "out[:, :pixel] = rows[:, :pixel]",
        "test_imagefile_png.py::test_opencv_reads_what_is_written",
    ),
    Fault(
        "the colour key of few bits is not scaled", "png.py",
        '(channels == colour * (white // depth))', '(channels == colour)',
        "test_imagefile_png.py::test_the_transparent_colour_becomes_alpha",
    ),
    Fault(
        "PFM from top to bottom", "netpbm.py",
        'file.write(np.ascontiguousarray(frame[::-1], "<f4").data)',
        'file.write(np.ascontiguousarray(frame, "<f4").data)',
        "test_imagefile_netpbm.py",
    ),
    Fault(
        "samples of other whites are cut off", "depth.py",
        "return np.rint(scaled, out=scaled)", "return np.trunc(scaled, out=scaled)",
        "test_imagefile_netpbm.py",
    ),
    Fault(
        "GIF frames of 256 colours and a hidden one", "gif.py",
        "most = 256 if hidden is None else 255", "most = 256",
        "test_imagefile_animation.py",
    ),
    Fault(
        "GIF frames are not dithered", "gif.py",
        "dither=Image.Dither.FLOYDSTEINBERG", "dither=Image.Dither.NONE",
        "test_imagefile_animation.py",
    ),
    Fault(
        "the pixels of several frames count once", "limit.py",
        "self.spent += width * height * frames", "self.spent = width * height * frames",
        "test_imagefile_tiff.py::TestReading::test_the_limit_counts_all_pages",
    ),
    # Batches
    Fault(
        "a result is written in place of its target", "wholefile.py",
        "        os.replace(part, target)\n        return\n",
        '        open(target, "wb").write(open(part, "rb").read())\n        return\n',
        "test_batch.py::TestWholeFile",
    ),
    Fault(
        "what turned up meanwhile is replaced", "wholefile.py",
        "    if replace:\n        os.replace", "    if True:\n        os.replace",
        "test_batch.py",
    ),
    Fault(
        "replaced files are not forced to the disk", "wholefile.py",
        "                os.fsync(file.fileno())\n", "",
        "test_batch.py::TestWholeFile",
    ),
    Fault(
        "an empty output counts as done", "process.py",
        "os.stat(path).st_size > 0", "os.stat(path).st_size >= 0",
        "test_cli_batches.py::TestRefusals::test_an_empty_output_is_made_again",
    ),
    Fault(
        "names are filled in with the suffix twice", "jobs.py",
        "ext=suffix or ext", "ext=ext + (suffix or '')",
        "test_batch.py",
    ),
    Fault(
        "links to the input are not known as the input", "jobs.py",
        "return found.st_dev, found.st_ino", "return os.path.abspath(path)",
        "test_batch.py",
    ),
    Fault(
        "usage errors end with status 1", "main.py",
        "return USAGE if isinstance(error, usage) else NOTHING_DONE", "return NOTHING_DONE",
        "test_cli_main.py::TestErrors::test_usage_is_one_line_and_status_2",
    ),
    Fault(
        "an interruption ends with status 1", "main.py",
        "status = INTERRUPTED + interruption.args[0]", "status = NOTHING_DONE",
        "test_cli_nothing_lost.py::TestNothingIsLost::test_interrupted",
    ),
    Fault(
        "--max-pixels 1M is 2**20", "types.py",
        '"M": 10**6', '"M": 2**20',
        "test_cli_inputs.py::TestBadInput::test_too_many_pixels test_cli_inputs.py::TestExtremes",
    ),
    # Learning and layers
    Fault(
        "saturated targets are learned from", "pairs.py",
        "(wanted[..., c] > low) & (wanted[..., c] < high)",
        "(wanted[..., c] >= low) & (wanted[..., c] <= high)",
        "test_learning_linear.py::test_saturated_targets_do_no_harm",
    ),
    Fault(
        "the held-out band is learned from", "pairs.py",
        "learn = [band for k, band in enumerate(bands) if k not in held]", "learn = bands",
        "test_learning_linear.py::test_the_ridge_is_raised_where_held_out_pixels_say_so",
    ),
    Fault(
        "the largest of equally good sizes", "linear.py",
        "quality >= best - nearly", "quality >= best",
        "test_learning_linear.py::test_larger_kernels_have_to_be_better_by_a_twentieth_of_a_decibel",
    ),
    Fault(
        "Adam without its correction", "optimisers.py",
        "rate = self.rate * np.sqrt(1 - self.beta2**self._steps) / (1 - self.beta1**self._steps)",
        "rate = self.rate",
        "test_nn_optimisers.py",
    ),
    Fault(
        "weight decay without the rate", "optimisers.py",
        "parameter *= 1 - self.rate * self.decay\n            parameter += speed",
        "parameter *= 1 - self.decay\n            parameter += speed",
        "test_nn_optimisers.py",
    ),
    Fault(
        "weight decay of Adam without the rate", "optimisers.py",
        "parameter *= 1 - self.rate * self.decay\n            parameter -= float(rate)",
        "parameter *= 1 - self.decay\n            parameter -= float(rate)",
        "test_nn_optimisers.py",
    ),
    Fault(
        "batch norm remembers the biased variance", "layers_normalising.py",
        "unbiased = variance * (count / max(1, count - 1))", "unbiased = variance",
        "test_net_equations.py",
    ),
    Fault(
        "the radial loss without its rubbish class", "losses.py",
        "RUBBISH_DISTANCE = 10.0", "RUBBISH_DISTANCE = 1000.0",
        "test_net_equations.py",
    ),
    # Memory and threads
    Fault(
        "a result takes memory that is too small", "memory.py",
        "LEAST_BYTES <= size <= piece.nbytes <= size + size // 4",
        "LEAST_BYTES <= size and piece.nbytes <= size + size // 4",
        "test_memory.py",
    ),
    Fault(
        "memory of results is never given back", "memory.py",
        "elif now - since < KEPT_SECONDS:", "elif True:",
        "test_memory.py",
    ),
    Fault(
        "results of any size are kept", "keeping.py",
        "if entry.size > KEPT_BYTES:", "if False:",
        "test_keeping.py",
    ),
    Fault(
        "what was kept first goes first", "keeping.py",
        "        entry.used = next(_clock)\n        value = entry.value", "        value = entry.value",
        "test_keeping.py",
    ),
)  # fmt: skip
