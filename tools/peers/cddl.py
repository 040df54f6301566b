#!/usr/bin/env python3
"""cddl.py CDDL FOLDER: checks FOLDER/valid/RULE.WHAT.cbor and FOLDER/broken/RULE.WHAT.cbor with zcbor."""

import contextlib
import io
import pathlib
import sys

from zcbor import DataTranslator

EXPECTED = {"envelope", "confidential", "sac-ext", "receipt", "coap-message", "peer-record", "access-list"}


def fits(rules, path):
    """None, or why the sample does not fit the rule that its name begins with."""
    try:
        # It prints what it tried besides raising an error.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            rules[path.name.split(".")[0]].validate_str(path.read_bytes())
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return None


def main(cddl, folder):
    rules = DataTranslator.from_cddl(pathlib.Path(cddl).read_text(), 1000).my_types
    valid = sorted((pathlib.Path(folder) / "valid").glob("*.cbor"))
    broken = sorted((pathlib.Path(folder) / "broken").glob("*.cbor"))
    failures = [f"{path.name}: refused: {why}" for path in valid if (why := fits(rules, path))]
    failures += [f"{path.name}: broken, and let pass" for path in broken if not fits(rules, path)]
    missing = EXPECTED - {path.name.split(".")[0] for path in valid}
    failures += [f"no sample of {rule}" for rule in sorted(missing)]
    if not broken:
        failures.append("no broken samples")
    for failure in failures:
        print(failure)
    print(f"{len(valid)} samples fit {cddl}, {len(broken)} broken ones are refused" if not failures else "FAILED")
    return 1 if failures else 0


sys.exit(main(*sys.argv[1:]))
