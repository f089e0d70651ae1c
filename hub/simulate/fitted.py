"""Figures fitted to public traces: token-length quantiles, the day's rhythm, how uneven arrivals are.

Only parameters are kept here, no trace. Sources: Azure LLM inference traces 2023 (Splitwise, ISCA 2024, CC-BY-4.0),
Mooncake (FAST 2025, Apache-2.0), Alibaba ServeGen (Apache-2.0). Every knot is the empirical quantile at
:data:`PROBABILITIES`, pooled over the whole trace.
"""

from dataclasses import dataclass

# fmt: off

#: Where the quantile knots lie.
PROBABILITIES = (
    0.001, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75,
    0.8, 0.85, 0.9, 0.95, 0.97, 0.99, 0.999,
)


@dataclass(frozen=True, slots=True)
class TokenLengths:
    """Quantile knots of prompt and completion lengths in tokens, and the trace they are of."""

    source: str
    input_knots: tuple[int, ...]
    output_knots: tuple[int, ...]


AZURE_CHAT = TokenLengths(
    source="azure_llm_2023/conv",
    input_knots=(
        8, 31, 167, 181, 228, 377, 388, 396, 402, 410, 437, 972, 1015, 1042, 1068, 1097, 1135, 1208, 1339,
        2180, 4074, 4085, 4091, 4122, 5311,
    ),
    output_knots=(
        12, 16, 31, 39, 50, 61, 71, 80, 87, 92, 97, 104, 115, 134, 160, 194, 375, 393, 397, 410, 421, 447,
        502, 598, 939,
    ),
)

AZURE_CODE = TokenLengths(
    source="azure_llm_2023/code",
    input_knots=(
        7, 17, 51, 77, 151, 238, 380, 573, 764, 929, 1068, 1239, 1462, 1682, 1884, 2136, 2411, 2704, 3123,
        3910, 5052, 7154, 7435, 7436, 7437,
    ),
    output_knots=(
        6, 6, 6, 6, 7, 7, 8, 9, 9, 10, 11, 12, 13, 14, 16, 17, 20, 23, 29, 39, 55, 87, 123, 249, 841,
    ),
)

KIMI_CHAT = TokenLengths(
    source="mooncake/conversation_trace",
    input_knots=(
        892, 894, 897, 901, 973, 1290, 1707, 2406, 3478, 4435, 5238, 6176, 7284, 8598, 9919, 11613, 13542,
        15666, 18389, 22290, 28043, 40537, 54630, 89976, 121299,
    ),
    output_knots=(
        1, 3, 5, 10, 24, 46, 100, 158, 216, 263, 299, 329, 356, 380, 402, 426, 452, 476, 510, 550, 606,
        713, 817, 1166, 2000,
    ),
)

QWEN_SMALL = TokenLengths(
    source="servegen/token_pdfs/language_m-small_chunk-21",
    input_knots=(
        104, 189, 264, 308, 401, 471, 539, 603, 664, 728, 800, 874, 944, 1020, 1103, 1191, 1293, 1405,
        1558, 1782, 2170, 3068, 3929, 6923, 19268,
    ),
    output_knots=(
        1, 1, 2, 2, 2, 3, 5, 7, 10, 13, 16, 19, 22, 25, 29, 35, 45, 54, 63, 78, 159, 191, 205, 232, 334,
    ),
)

REASONING = TokenLengths(
    source="servegen/token_pdfs/reason_deepseek-r1_chunk-1",
    input_knots=(
        45, 96, 114, 121, 131, 139, 144, 149, 153, 156, 160, 163, 166, 171, 175, 179, 183, 188, 195, 203,
        212, 228, 244, 284, 361,
    ),
    output_knots=(
        108, 151, 188, 217, 275, 328, 375, 427, 487, 550, 625, 704, 816, 902, 1027, 1176, 1320, 1463,
        1631, 1876, 2277, 2871, 3211, 4043, 6469,
    ),
)

#: Requests by hour of the day over their mean: servegen/language_m-small, nine days.
HOUR_OF_DAY = (
    0.842, 0.683, 0.677, 0.659, 0.622, 0.644, 0.728, 0.81, 0.954, 1.133, 1.128, 1.116, 1.087, 1.062,
    1.085, 1.029, 1.041, 1.052, 1.06, 1.217, 1.448, 1.464, 1.346, 1.113,
)

#: Share of the weekday's traffic, Monday first. No public trace covers enough weeks: an office product's week, assumed.
DAY_OF_WEEK = (1.08, 1.12, 1.12, 1.10, 1.02, 0.78, 0.78)

#: Variance of the rate multiplier in windows of ten seconds, (variance/mean - 1)/mean of the counts: azure_llm_2023.
CHAT_UNEVENNESS = 0.044
CODE_UNEVENNESS = 2.255
