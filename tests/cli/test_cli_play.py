"""`cnnfilter play` on the command line."""

from commandline import cnnfilter, complaint, names

from cnnfilter.seeing.play import page


def test_the_page_goes_where_it_is_told(tmp_path):
    said = cnnfilter("play", "-o", "lesson.html", cwd=tmp_path)
    assert said.stdout == b"" and said.stderr == b"lesson.html: open it in a browser\n"
    assert (tmp_path / "lesson.html").read_text(encoding="utf-8") == page()
    assert cnnfilter("play", "-o", "-", cwd=tmp_path).stdout.decode() == page()
    assert names(tmp_path) == ["lesson.html"]


def test_a_page_that_nobody_named_replaces_nothing(tmp_path):
    (tmp_path / "play.html").write_text("mine")
    refused = cnnfilter("play", cwd=tmp_path, status=1)
    assert complaint(refused).startswith("play.html exists already; --overwrite replaces it")
    assert (tmp_path / "play.html").read_text() == "mine"
    assert cnnfilter("play", "--overwrite", "-q", cwd=tmp_path).stderr == b""
    assert (tmp_path / "play.html").read_text(encoding="utf-8") == page()


def test_a_folder_that_is_not_there(tmp_path):
    done = cnnfilter("play", "-o", "new/x.html", cwd=tmp_path)
    assert b"new: this folder was made" in done.stderr and (tmp_path / "new" / "x.html").exists()


def test_only_a_page_is_written(tmp_path):
    for name in ("x.txt", "page", "x.html.png"):
        said = complaint(cnnfilter("play", "-o", name, cwd=tmp_path, status=2))
        assert said.startswith(f"{name!r} is no page; it must end in .html")
    cnnfilter("play", "-o", "x.HTM", cwd=tmp_path)
    cnnfilter("play", "-o", "/dev/null", cwd=tmp_path)
    assert names(tmp_path) == ["x.HTM"]
