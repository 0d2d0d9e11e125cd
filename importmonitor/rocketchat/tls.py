"""Which certificate authorities a connection to a workspace trusts."""

import os
import re
import ssl
from pathlib import Path

# A directory of certificates has files that are named by a hash of their subject.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")


def make_context(bundle: str | None, *, fallback: str) -> ssl.SSLContext:
    """Return a context that trusts a file or directory of certificates, by default the system's.

    `fallback` is the file for systems that have none. Raises OSError if a file cannot be read.
    """
    context = ssl.create_default_context() if bundle is None else _bundle_context(bundle)
    # Only names count that CAs check, as for urllib3's own contexts.
    context.hostname_checks_common_name = False
    if bundle is None and not _has_system_store(context):
        context.load_verify_locations(fallback)
    return context


def _bundle_context(bundle: str) -> ssl.SSLContext:
    try:
        if Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ValueError) as error:
        problem = str(getattr(error, "strerror", None) or error)
    # It can be anything that was put into the variable, such as the certificates themselves.
    name = bundle if bundle.isprintable() else "CA_BUNDLE"
    raise OSError(f"the file of CA certificates cannot be used: {name}: {problem}")


def _has_system_store(context: ssl.SSLContext) -> bool:
    """Return whether the system, or SSL_CERT_FILE or SSL_CERT_DIR, has certificates.

    Those of a directory are loaded when they are needed, so they are not among the loaded ones.
    """
    if context.cert_store_stats()["x509"]:
        return True
    paths = ssl.get_default_verify_paths()
    variables = (paths.openssl_cafile_env, paths.openssl_capath_env)
    if any(os.environ.get(name) for name in variables):
        # What was chosen is not widened, not even if it is empty.
        return True
    try:
        return any(
            _HASHED_NAME.fullmatch(path.name) for path in Path(paths.openssl_capath).iterdir()
        )
    except OSError:
        return False
