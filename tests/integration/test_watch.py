# SPDX-License-Identifier: MIT
"""--watch: a file of the configuration that has changed is loaded, however it was
replaced."""

import os
import shutil

import pytest
from peers.client import Person
from peers.roost import Roost, changed, settings
from peers.waiting import holds_for, wait_until
from peers.yaml_text import to_yaml


@pytest.fixture
def watching(stage):
    """A roost that watches its file; weights of backend a tell one file from the next."""
    def start(config=None, link=None):
        config = config or settings(stage.backends("a"))
        roost = Roost(stage.directory / f"watching{len(stage.roosts)}", config,
                      ["--watch"])
        stage.roosts.append(roost)
        if link:
            link(roost)
        return roost.start()

    return start


def text_of(roost, weight):
    return to_yaml(changed(roost.config, "a", weight=weight))


def loads(roost, weight):
    roost.wait_log(rf"upstreams\.app\.backends\.a\.weight: \d+ -> {weight}$")


@pytest.mark.quick
def test_rename_over_it(watching):
    roost = watching()
    for weight in (2, 3):
        roost.write(text_of(roost, weight))
        loads(roost, weight)
    assert Person(roost, "p").backend() == "a"


def test_written_in_place(watching):
    roost = watching()
    with open(roost.file, "w") as f:
        f.write(text_of(roost, 2))
    loads(roost, 2)


def test_moved_away_and_written_anew(watching):
    """As vi does it with a backup."""
    roost = watching()
    for weight in (2, 3):
        text = text_of(roost, weight)  # not between the two
        os.rename(roost.file, roost.file + "~")
        with open(roost.file, "w") as f:
            f.write(text)
        loads(roost, weight)
    assert not roost.logged("reload failed")


def test_many_changes_are_one_reload(watching):
    roost = watching()
    for text in [text_of(roost, weight) for weight in range(2, 10)]:
        roost.write(text)
    loads(roost, 9)
    assert len(roost.logged("configuration reloaded")) <= 2


def test_link_to_another_directory_is_swapped(watching):
    """As Kubernetes does it with a ConfigMap: roost.yaml -> ..data/roost.yaml, ..data ->
    a directory of a version, and it is ..data that is replaced."""
    def put(roost, name, text):
        directory = os.path.join(roost.directory, name)
        os.mkdir(directory)
        with open(os.path.join(directory, "roost.yaml"), "w") as f:
            f.write(text)
        os.symlink(name, os.path.join(roost.directory, "..new"))
        os.rename(os.path.join(roost.directory, "..new"),
                  os.path.join(roost.directory, "..data"))

    def link(roost):
        put(roost, "..1", to_yaml(roost.config))
        os.symlink("..data/roost.yaml", roost.file)
        roost.write = lambda config: None

    roost = watching(link=link)
    for i, weight in enumerate((2, 3, 4)):
        put(roost, f"..{i + 2}", text_of(roost, weight))
        shutil.rmtree(os.path.join(roost.directory, f"..{i + 1}"))
        loads(roost, weight)
    assert not roost.logged("reload failed")


def test_link_into_another_directory(watching, tmp_path):
    real = tmp_path / "elsewhere" / "real.yaml"

    def link(roost):
        real.parent.mkdir()
        real.write_text(to_yaml(roost.config))
        os.symlink(real, roost.file)
        roost.write = lambda config: None

    roost = watching(link=link)
    real.write_text(text_of(roost, 2))
    loads(roost, 2)


def test_bad_file_changes_nothing_and_the_next_good_one_does(watching):
    roost = watching()
    roost.write("upstreams: {app: [\n")
    roost.wait_log(r"roost\.yaml:\d+:\d+: ")
    roost.wait_log("reload failed")
    assert Person(roost, "p").backend() == "a"
    roost.write(text_of(roost, 2))
    loads(roost, 2)


def test_file_that_is_gone_for_a_while(watching):
    roost = watching()
    os.unlink(roost.file)
    roost.wait_log("reload failed")
    assert Person(roost, "p").backend() == "a"
    roost.write(text_of(roost, 2))
    loads(roost, 2)


def test_other_files_do_not_matter(watching):
    roost = watching()
    roost.mark()
    for i in range(3):
        with open(os.path.join(roost.directory, f"other{i}"), "w") as f:
            f.write("x")
    holds_for(lambda: not roost.logged("config:"), "nothing is loaded", 0.6)


def test_files_that_it_names_are_watched_too(watching, stage, tmp_path):
    page = tmp_path / "502.html"
    page.write_text("<p>first</p>")
    config = settings([{"name": "a", "address": "127.0.0.1:1"}])
    config["error_pages"] = [{"status": 502, "file": str(page)}]
    roost = watching(config)

    def body():
        return Person(roost, "p").get("/", [("Accept", "text/html")]).body

    assert body() == b"<p>first</p>"
    page.write_text("<p>second</p>")
    roost.wait_log(r"what is in it has changed")
    wait_until(lambda: body() == b"<p>second</p>", "the new page is served")


def test_without_the_flag_nothing_is_watched(stage):
    roost, a = stage.proxy("a")
    roost.write(text_of(roost, 2))
    holds_for(lambda: not roost.logged("config:"), "nothing is loaded", 0.6)
