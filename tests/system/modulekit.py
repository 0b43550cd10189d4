# SPDX-License-Identifier: MIT
"""tests/system/modulekit.py: modular repositories of our own: small RPMs of rpmbuild, documents, and repodata of
createrepo_c and modifyrepo_c."""
import os, pathlib, shutil, subprocess, tempfile

SPEC = """\
Name: {name}
Version: {version}
Release: 1.module
Summary: a package of a module
License: MIT
{requires}
%description
It has one file.
{packages}
%install
mkdir -p %{{buildroot}}/usr/share/{name}
echo {name}-{version} > %{{buildroot}}/usr/share/{name}/file
{installs}
%files
/usr/share/{name}/file
{files}
"""


def build_rpms(folder, rows):
    """one build for each row (name, version, requires, [names of more packages]); the RPMs lie in @folder"""
    top = folder / "top"
    for name, version, requires, more in rows:
        spec = folder / f"{name}-{version}.spec"
        text = SPEC.format(
            name=name, version=version, requires="".join(f"Requires: {r}\n" for r in requires),
            packages="".join(f"%package -n {m}\nSummary: more\n%description -n {m}\nMore.\n" for m in more),
            installs="".join(f"mkdir -p %{{buildroot}}/usr/share/{m}\n" for m in more),
            files="".join(f"%files -n {m}\n%dir /usr/share/{m}\n" for m in more))
        spec.write_text("%global debug_package %{nil}\n" + text)
        done = subprocess.run(["rpmbuild", "-ba", "--quiet", "--nodeps", "--target", "x86_64", "--define",
                               f"_topdir {top}", spec], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"rpmbuild: {done.stdout}{done.stderr}")
    (folder / "Packages").mkdir()
    for file in top.glob("*RPMS/**/*.rpm"):
        shutil.move(file, folder / "Packages")
    shutil.rmtree(top)


def listed(items, indent=6):
    return "".join(f"{' ' * indent}- {item}\n" for item in items)


def stream(name, stream_name, version, context, rpms=(), requires=None, profiles=None, arch="x86_64", demodularized=(),
           builds_for="test1", filtered=()):
    """a modulemd document of version 2; @requires: {module: [streams]}"""
    text = (f"---\ndocument: modulemd\nversion: 2\ndata:\n  name: {name}\n  stream: \"{stream_name}\"\n  version: {version}\n"
            f"  context: {context}\n  arch: {arch}\n  summary: {name} in {stream_name}\n  description: >-\n    A module.\n"
            "  license:\n    module:\n      - MIT\n  dependencies:\n"
            f"    - buildrequires:\n        platform: [{builds_for}]\n      requires:\n        platform: [{builds_for}]\n")
    for module, streams in (requires or {}).items():
        text += f"        {module}: [{', '.join(streams)}]\n"
    if demodularized:
        text += "  demodularized:\n    rpms:\n" + listed(demodularized)
    if filtered:
        text += "  filter:\n    rpms:\n" + listed(filtered)
    if profiles:
        text += "  profiles:\n"
        for profile, packages in profiles.items():
            text += f"    {profile}:\n      rpms:\n" + listed(packages, 8)
    if rpms:
        text += "  artifacts:\n    rpms:\n" + listed(rpms)
    return text + "...\n"


def defaults(name, stream_name, profile):
    return (f"---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: {name}\n  stream: \"{stream_name}\"\n"
            f"  profiles:\n    \"{stream_name}\": [{profile}]\n...\n")


def obsoletes(name, stream_name, message):
    return ("---\ndocument: modulemd-obsoletes\nversion: 1\ndata:\n  modified: 2026-01-01T00:00Z\n"
            f"  module: {name}\n  stream: \"{stream_name}\"\n  message: {message}\n"
            "  eol_date: 2026-02-02T00:00Z\n...\n")


def make_repository(folder, documents):
    """repodata of what lies below @folder, with these documents"""
    shutil.rmtree(folder / "repodata", ignore_errors=True)
    os.chmod(folder, 0o755)
    with tempfile.TemporaryDirectory() as beside: # createrepo_c reads any that it meets
        text = pathlib.Path(beside) / "modules.yaml"
        text.write_text("".join(documents))
        for command in (["createrepo_c", "-q", folder],
                        ["modifyrepo_c", "--mdtype=modules", text, folder / "repodata"]):
            subprocess.run([str(c) for c in command], check=True, capture_output=True)


def nevra(name, version, arch="x86_64", epoch=0):
    return f"{name}-{epoch}:{version}-1.module.{arch}"


def needed():
    """what must be there, or None"""
    return next((tool for tool in ("rpmbuild", "createrepo_c", "modifyrepo_c", "dnf") if not shutil.which(tool)), None)
