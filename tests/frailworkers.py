"""Loaded by the workers of tests: files with certain names are slow, or end the worker that reads them."""

import os
import time


def dask_setup(worker):
    from cnnfilter.batch import process
    from cnnfilter.lazy import zarrstores
    from cnnfilter.wholefile import whole_file

    read, write, put = process.read, process.write, zarrstores.Plane.write

    def reading(source, **how):
        if "poison" in source:
            os._exit(1)
        if "slow" in source:
            time.sleep(0.1)
        return read(source, **how)

    def writing(picture, target, **how):
        mark = f"{target}.once"
        if "halfway" in target and not os.path.exists(mark):
            with open(mark, "w"), whole_file(target) as file:
                file.write(b"half")
                file.flush()
                os._exit(1)
        return write(picture, target, **how)

    def putting(plane, rows, columns, block):
        name = str(plane.array.store)
        if "poison" in name and rows[0] == columns[0] == 0:
            os._exit(1)
        if "slow" in name:
            time.sleep(0.2)
        put(plane, rows, columns, block)

    process.read, process.write, zarrstores.Plane.write = reading, writing, putting
