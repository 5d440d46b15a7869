"""Says whether a captured request verifies, and if it does not, why: by the plugin's own receive path.

captured    the request, and what the operator has set for it
verdict     what the plugin says
looks       what can be seen: what is missing, what is odd
mistakes    what usually happens to secrets, bodies and URLs on their way
diagnosis   what is tried until one verifies, and said
vectors     many of them in a file
"""

from devhost.verify.captured import Captured, SecretValue, Setup, hidden
from devhost.verify.diagnosis import explain
from devhost.verify.vectors import BadVectors, Failed, run_vectors
from devhost.verify.verdict import Checked, certificates_only, check

__all__ = [
    "BadVectors",
    "Captured",
    "Checked",
    "Failed",
    "SecretValue",
    "Setup",
    "certificates_only",
    "check",
    "explain",
    "hidden",
    "run_vectors",
]
