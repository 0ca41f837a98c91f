"""The table of `scripts/bench`: figures, ratios, targets."""

from dataclasses import dataclass
from statistics import median

SIDES = ["direct", "nginx", "gateway"]
CHUNKS = 200  # of a stream, as the scenario says


@dataclass
class Row:
    name: str
    words: str
    connections: int
    size: int = 1024
    stream: bool = False
    client: str = "chat"
    upstream: str = "chat"
    rate: float | None = None


# (row, figure) -> (what is compared, how, with what): the targets of the project.
TARGETS = {
    ("verbatim-1k-1", "added p50, µs"): ("ratio", "≤", 2),
    ("verbatim-1k-1", "added p99, µs"): ("ratio", "≤", 2),
    ("verbatim-1k-32", "requests/s"): ("ratio", "≥", 0.60),
    ("verbatim-1k-32", "CPU, µs/request"): ("ratio", "≤", 2.2),
    ("verbatim-100k-32", "requests/s"): ("ratio", "≥", 0.60),
    ("stream-1", "added first byte, µs"): ("ratio", "≤", 2),
    ("stream-16", "chunks/s"): ("ratio", "≥", 0.85),
    ("translated-1k-32", "CPU, µs/request"): ("gateway", "≤", 60),
    ("translated-100k-8", "MB per CPU second"): ("gateway", "≥", 150),
    ("translated-stream-16", "CPU, µs/chunk"): ("gateway", "≤", 5),
    ("memory", "RSS idle, MiB"): ("gateway", "≤", 40),
    ("memory", "KiB per open stream"): ("gateway", "≤", 80),
    ("memory", "KiB per open translated stream"): ("gateway", "≤", 80),
}


def figures_of(row, side, measured):
    """Name -> value of everything that one slot tells, with the slots of the same round beside it."""
    it, direct = measured[side], measured.get("direct")
    figures = {"requests/s": it["rps"], "p50, µs": it["p50_us"], "p99, µs": it["p99_us"]}
    if row.rate:
        del figures["requests/s"]
    if row.stream:
        figures |= {"chunks/s": it["chunks_per_s"], "first byte p50, µs": it["ttfb_p50_us"]}
        del figures["requests/s"]
    if side != "direct":
        if direct:
            added = {"p50": "p50_us", "p99": "p99_us"} | ({"first byte": "ttfb_p50_us"} if row.stream else {})
            figures |= {f"added {name}, µs": it[key] - direct[key] for name, key in added.items()}
        figures["CPU, µs/request"] = it["cpu_us"]
        if row.stream:
            figures["CPU, µs/chunk"] = it["cpu_us"] / CHUNKS
        if row.size > 10_000:
            figures["MB per CPU second"] = row.size / it["cpu_us"]
    return figures


def lines(row, rounds):
    """The table's lines of a row: medians, and the median of the rounds' own ratios."""
    told = [{side: figures_of(row, side, measured) for side in measured} for measured in rounds]
    names = list(dict.fromkeys(name for it in told for side in reversed(SIDES) for name in it.get(side, {})))
    for name in names:
        values = {
            side: median(it[side][name] for it in told) for side in SIDES if all(name in it.get(side, {}) for it in told)
        }
        pairs = [(it["gateway"][name], it["nginx"][name]) for it in told if "gateway" in it and "nginx" in it]
        ratio = median(own / other for own, other in pairs) if pairs and all(it[1] > 0 for it in pairs) else None
        yield line(row.name, row.words, name, values, ratio)


def memory_lines(memory):
    return [
        line("memory", "memory", name, values, values["gateway"] / values["nginx"] if len(values) == 2 else None)
        for name, values in memory.items()
    ]


def line(row, words, name, values, ratio):
    found = {"row": row, "words": words, "figure": name, **values, "ratio": ratio, "target": None, "met": None}
    what, sign, limit = TARGETS.get((row, name), (None, None, None))
    value = ratio if what == "ratio" else values.get(what)
    if value is not None:
        found["target"] = f"{what} {sign} {limit}"
        found["met"] = value <= limit if sign == "≤" else value >= limit
    return found


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def render(table):
    cells = [["row", "figure", "direct", "nginx", "gateway", "gateway/nginx", "target"]]
    for place, it in enumerate(table):
        is_first = place == 0 or table[place - 1]["words"] != it["words"]
        ratio = "" if it["ratio"] is None else f"{it['ratio']:.2f}"
        target = "" if it["target"] is None else f"{it['target']}: {'met' if it['met'] else 'missed'}"
        values = [number(it.get(side)) for side in SIDES]
        cells.append([it["words"] if is_first else "", it["figure"], *values, ratio, target])
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    align = lambda text, i: text.rjust(widths[i]) if 2 <= i <= 5 else text.ljust(widths[i])
    drawn = ["| " + " | ".join(align(text, i) for i, text in enumerate(row)) + " |" for row in cells]
    rule = "|" + "|".join("-" * (it + 1) + (":" if 2 <= i <= 5 else "-") for i, it in enumerate(widths)) + "|"
    return "\n".join([drawn[0], rule, *drawn[1:]])


def notes(found, options):
    told = found["rounds"].values()
    slots = [it for rounds in told for measured in rounds for it in measured.values()]
    disturbed = sum(it["disturbed"] for it in slots)
    errors = sum(it["errors"] for it in slots)
    unsettled = max((it.get("settled_s", 0) for it in slots), default=0)
    yield f"{found['machine']['cores']} cores of {found['machine']['cpu']}; one for gateway and nginx."
    yield f"Medians over {options.rounds} interleaved round(s) of {options.seconds:g} s; ratios are taken in each round."
    yield f"Disturbed by other processes, also when repeated: {disturbed} of {len(slots)} slots. Errors: {errors}."
    if ledger := found["ledger"]:
        kept = "Postgres" if options.postgres else "SQLite"
        yield f"Ledger in {kept}: {ledger['attempts']:,} attempts for {ledger['answered']:,} answers; " + (
            f"after load it caught up within {unsettled:.1f} s, whose CPU time is counted."
        )
