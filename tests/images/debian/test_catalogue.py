"""Dependencies between the packages of an index."""

import pytest

from sysevent.errors import BadSignature
from sysevent.images.debian.catalogue import Catalogue, Relation


def entry(name, *lines, version="1"):
    return "\n".join(
        [
            *(f"Package: {name}", f"Version: {version}", "Architecture: arm64", *lines),
            *(f"Filename: pool/{name}_{version}.deb", "Size: 1", f"SHA256: {'0' * 64}"),
        ]
    )


def catalogue(*entries):
    return Catalogue(("\n\n".join(entries) + "\n").encode(), "the index")


def closure(found, name="root"):
    made = found.closure([found.newest(name)])
    return [f"{one.package.name} {one.package.version}" for one in made.entries], made.unmet


def test_direct_and_indirect():
    """Pre-Depends counts, Recommends does not; a circle ends; the nearest are first."""
    found = catalogue(
        entry("aa", "Depends: cc, root"),
        entry("cc"),
        entry("bb"),
        entry("root", "Pre-Depends: bb", "Depends: aa (>= 1)", "Recommends: other"),
        entry("other"),
    )
    assert closure(found) == (["root 1", "bb 1", "aa 1", "cc 1"], ())


def test_alternatives():
    """The first one that the suite has; none if one of them is there already."""
    found = catalogue(
        entry("root", "Depends: absent | yy | zz, zz | ww, yy | vv"),
        entry("vv"),
        entry("ww"),
        entry("yy"),
        entry("zz"),
    )
    assert closure(found) == (["root 1", "yy 1", "zz 1"], ())


def test_versions():
    """The newest of several versions, and an alternative whose version does not count is passed over."""
    found = catalogue(
        entry("root", "Depends: aa (>= 3) | bb (>> 1), cc (= 1:2-1)"),
        entry("aa", version="2"),
        entry("bb", version="1.5"),
        entry("bb", version="1.10"),
        entry("cc", version="1:2-1"),
    )
    assert closure(found) == (["root 1", "bb 1.10", "cc 1:2-1"], ())


def test_provides():
    """A package under its old name, as after the change of time_t; a version counts only if it is provided."""
    found = catalogue(
        entry("root", "Depends: liba1 (>= 1), virtual, libb1 (>= 1)"),
        entry("liba1t64", "Provides: liba1 (= 1.2)", version="1.2"),
        entry("one", "Provides: virtual, more"),
        entry("libb1t64", "Provides: libb1", version="2"),
    )
    assert closure(found) == (["root 1", "liba1t64 1.2", "one 1"], ("libb1 (>= 1)",))


def test_architecture_qualifiers():
    assert closure(catalogue(entry("root", "Depends: aa:any"), entry("aa")))[0] == ["root 1", "aa 1"]


def test_what_the_suite_lacks():
    found = catalogue(entry("root", "Depends: gone (>= 2) | lost, aa"), entry("aa"))
    assert closure(found) == (["root 1", "aa 1"], ("gone (>= 2) | lost",))


def test_the_first_and_the_last_entry():
    found = catalogue(entry("first"), entry("last"))
    assert [found.newest(name).package.filename for name in ("first", "last")] == [
        "pool/first_1.deb",
        "pool/last_1.deb",
    ]
    assert found.newest("no-such") is None


def test_only_asked_entries_are_parsed():
    """A damaged entry does no harm until it is needed."""
    found = catalogue(entry("good"), entry("bad").replace("0" * 64, "nothing"))
    assert found.newest("good")
    with pytest.raises(BadSignature, match="the entry of bad"):
        found.newest("bad")


@pytest.mark.parametrize(
    "relation",
    ["aa (~ 1)", "aa bb", "Aa", "aa (>= 1", "aa (>= \x1b[2J)", f"aa (= {'9' * 300})"],
)
def test_an_invalid_relation(relation):
    """Nothing of it is printed unescaped."""
    found = catalogue(entry("root", f"Depends: {relation}"))
    with pytest.raises(BadSignature, match="a relation that is not valid") as raised:
        found.newest("root")
    assert str(raised.value).isprintable()


def test_relations_of_every_form():
    text = "aa:any (>=1), bb [arm64 !amd64] , cc<!nocheck>, dd ( << 2 ),"
    found = catalogue(entry("root", f"Depends: {text}"), *map(entry, ("aa", "bb", "cc", "dd")))
    assert closure(found) == (["root 1", "aa 1", "bb 1", "cc 1", "dd 1"], ())


@pytest.mark.parametrize(
    ("relation", "version", "accepted"),
    [("<<", "1", True), ("<<", "2", False), ("<=", "2", True), ("=", "2", True), (">=", "2~rc1", False)],
)
def test_relations(relation, version, accepted):
    assert Relation("aa", relation, "2").accepts(version) is accepted
