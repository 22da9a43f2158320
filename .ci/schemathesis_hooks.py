"""What schemathesis has to be told of bodies that are not JSON."""
import schemathesis
from hypothesis import strategies as st

# A message to many: any bytes, and bytes that begin like one.
anything = st.binary(max_size=2000)
beginning = st.builds(lambda version, count, rest: bytes([version, count]) + rest, st.sampled_from([0x22, 0x23]), st.integers(0, 3), anything)
schemathesis.openapi.media_type("application/vnd.signal-messenger.mrm", anything | beginning)

# Requests that wait for something to happen: none of them waits for more than a second here.
LONG_POLLS = {
    "/v1/devices/wait_for_linked_device/{tokenIdentifier}",
    "/v1/devices/restore_account/{token}",
    "/v1/devices/transfer_archive",
}


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.operation.path not in LONG_POLLS or case.method.upper() != "GET":
        return
    query = dict(case.query or {})
    said = query.get("timeout")
    if said is None or (str(said).isdigit() and 1 < int(said) <= 3600):
        case.query = {**query, "timeout": "1"}
