"""Banks that do not exist: what payloads are built for unless the caller insists on another.

Payment cards and NAPAS BINs follow ISO/IEC 7812: a leading 9 is followed by the country's ISO 3166 number.
990 is a number that ISO 3166 leaves to its users, so no country, and no bank in it, is given 9990xx.
"""

from __future__ import annotations

from typing import Final

FICTITIOUS_BANKS: Final[dict[str, str]] = {
    "999001": "Ngân hàng Mô phỏng Sông Hồng",
    "999002": "Ngân hàng Mô phỏng Trường Sơn",
    "999003": "Ngân hàng Mô phỏng Cửu Long",
}
DEFAULT_BIN: Final = "999001"
ACCOUNT_PREFIX: Final = "SIM"
