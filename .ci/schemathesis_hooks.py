"""What schemathesis has to be told of bodies that are not JSON."""
import schemathesis
from hypothesis import strategies as st

# A message to many: any bytes, and bytes that begin like one.
anything = st.binary(max_size=2000)
beginning = st.builds(lambda version, count, rest: bytes([version, count]) + rest, st.sampled_from([0x22, 0x23]), st.integers(0, 3), anything)
schemathesis.openapi.media_type("application/vnd.signal-messenger.mrm", anything | beginning)
