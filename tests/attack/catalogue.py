"""All attacks by name, in the order of the threats: strangers, a broken or stolen till, a greedy reader."""

from tests.attack.enrolled import ENROLLED
from tests.attack.readers import READERS
from tests.attack.strangers import STRANGERS

ATTACKS = {**STRANGERS, **ENROLLED, **READERS}
