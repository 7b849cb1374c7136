"""An example of the methods with which a till enrols. The proofs are those of the code `AAAAAAAAAA`."""

from __future__ import annotations

import hashlib

from inventory_server.protocol.describe.examples import STORE, TILL, Exchange
from pos_client.protocol.enrolment import (
    EnrolBeginParams,
    EnrolBeginResult,
    EnrolFinishParams,
    EnrolFinishResult,
    EnrolmentOffer,
    code_key,
    proof,
    transcript,
)

_SALT = bytes(range(16)).hex()
_TILL_NONCE, _HQ_NONCE = (hashlib.sha256(side).hexdigest() for side in (b"till", b"hq"))
_KEY = code_key("AAAAAAAAAA", bytes.fromhex(_SALT))
_SAID = transcript(_TILL_NONCE, _HQ_NONCE, hashlib.sha256(b"a certificate, DER").digest())

ENROLMENT: dict[str, Exchange] = {
    "enrol_begin": Exchange(
        EnrolBeginParams(_TILL_NONCE),
        EnrolBeginResult(
            _HQ_NONCE,
            [EnrolmentOffer(_SALT, proof(_KEY, "hq", _SAID))],
            "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
        ),
    ),
    "enrol_finish": Exchange(
        EnrolFinishParams(_SALT, proof(_KEY, "till", _SAID)),
        EnrolFinishResult(TILL, "till", STORE, "made-up-for-this-example"),
    ),
}
"""One request of each, with its answer."""
