"""Settings: YAML files and JSON options in, typed data out; a mistake is one line with file, key,
value and help. No other module catches pydantic's errors or reads YAML settings by itself.
"""

from siamla.settings.base import NAME as NAME
from siamla.settings.base import Chosen as Chosen
from siamla.settings.base import EachOnce as EachOnce
from siamla.settings.base import Line as Line
from siamla.settings.base import Mistakes as Mistakes
from siamla.settings.base import Name as Name
from siamla.settings.base import Settings as Settings
from siamla.settings.base import field_names as field_names
from siamla.settings.base import kind_text as kind_text
from siamla.settings.base import nearest as nearest
from siamla.settings.base import neutral as neutral
from siamla.settings.base import without_neutral as without_neutral
from siamla.settings.validation import PROJECT as PROJECT
from siamla.settings.validation import params_file as params_file
from siamla.settings.validation import read_yaml as read_yaml
from siamla.settings.validation import validate as validate
from siamla.settings.validation import validate_json as validate_json
