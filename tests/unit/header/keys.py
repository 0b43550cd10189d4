# SPDX-License-Identifier: MIT
"""tests/unit/header/keys.py: signatures by real keys, over files and RPMs: VERIFY DATA."""
import os, pathlib, shutil, subprocess, sys, tempfile

verify, data = sys.argv[1:]
failures = checks = 0


def run(*command, environment=None, **options):
    return subprocess.run([str(c) for c in command], env={**os.environ, **(environment or {})}, check=True,
                          capture_output=True, text=True, **options).stdout


def same(words, want, *arguments):
    global checks, failures
    checks += 1
    got = run(verify, *arguments).strip()
    if (got != want) if want == "good" else want not in got:
        failures += 1
        print(f"FAILED: {words}: got {got!r}, want {want!r}")


def key(folder, name, kind):
    home = folder / name
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
    run(*gpg, "--quick-generate-key", f"{name}@example.com", kind, "sign", "never")
    fingerprint = [line.split(":")[9] for line in run(*gpg, "--with-colons", "-k").splitlines()
                   if line.startswith("fpr:")][0]
    run(*gpg, "--quick-add-key", fingerprint, kind, "sign", "never")
    public = folder / f"{name}.asc"
    public.write_text(run(*gpg, "--armor", "--export"))
    return gpg, public, fingerprint


def main(folder):
    alice, public, primary = key(folder, "alice", "rsa2048")
    mallory, other, _ = key(folder, "mallory", "rsa2048")
    both, noise = folder / "both.asc", folder / "noise.asc"
    both.write_text("a comment\n" + other.read_text() + "\n" + public.read_text())
    noise.write_text("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n")
    file = folder / "repomd.xml"
    file.write_bytes(b"<repomd/>\r\n" * 1000)

    def sign(gpg, *how):
        run(*gpg, "--yes", "--detach-sign", *how, "--output", folder / "signature", file)
        return folder / "signature"
    same("armored, by a subkey", "good", public, file, sign(alice, "--armor"))
    same("binary", "good", public, file, sign(alice))
    same("by the key itself", "good", public, file, sign(alice, "--armor", "--local-user", primary + "!"))
    same("several keys in a file", "good", both, file, sign(alice, "--armor"))
    same("by a stranger", "which repo.gpg_keys does not have", public, file, sign(mallory, "--armor"))
    same("SHA-1", "not believed", public, file, sign(alice, "--digest-algo", "SHA1"))
    signature = sign(alice, "--armor")
    same("a file that holds no key", "holds no ASCII-armored public key", noise, file, signature)
    same("no file", "No such file", folder / "none", file, signature)
    file.write_bytes(file.read_bytes() + b"\n")
    same("other bytes", "is not of these bytes", public, file, signature)
    for text in (b"", b"hello", b"\x80", b"\xff" * 100, b"-----BEGIN PGP SIGNATURE-----\n",
                 b"-----BEGIN PGP SIGNATURE-----\n\n!!!\n-----END", public.read_bytes()):
        (folder / "signature").write_bytes(text)
        same(f"{text[:40]}", "cannot be read", public, file, folder / "signature")
    packages(folder, alice, public, other)


def packages(folder, alice, public, other):
    rpm = folder / "a.rpm"
    shutil.copy(sorted(pathlib.Path(data).glob("universe-small/base/Packages/a/*.rpm"))[0], rpm)
    same("an RPM without signature", "is not signed", public, rpm)
    same("no RPM", "this is no RPM", public, public)
    if not shutil.which("rpmsign"):
        print("without signed RPMs: there is no rpmsign")
        return
    run("rpmsign", "--define", f"__gpg {shutil.which('gpg')}", "--define", "_gpg_name alice@example.com",
        "--define", f"_gpg_path {alice[2]}", "--addsign", rpm)
    same("a signed RPM", "good", public, rpm)
    same("signed by a stranger", "which repo.gpg_keys does not have", other, rpm)
    whole = rpm.read_bytes()
    rpm.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    same("another payload", "the payload is not the one", public, rpm)
    at = whole.rindex(b"apache2") # a string of the header
    rpm.write_bytes(whole[:at] + b"b" + whole[at + 1:])
    same("another header", "is not of these bytes", public, rpm)


if not shutil.which("gpg"):
    print("skipped: there is no gpg")
    sys.exit(77)
place = pathlib.Path(tempfile.mkdtemp(prefix="odcsfs-keys-"))
try:
    main(place)
finally:
    for home in place.glob("*/"):
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False)
    shutil.rmtree(place)
print(f"{checks} checks, {failures} failed")
sys.exit(1 if failures or not checks else 0)
