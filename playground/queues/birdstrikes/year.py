"""Computes the statistics of one year. Four years at a time."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from nuxt_queue import Job, RunContext, define_config, define_worker

config = define_config(
    concurrency=4,
    attempts=2,
    flow={
        "name": "birdstrikes",
        "role": "step",
        "step": "year",
        "subscribes": "year.ready",
        "emits": ["year.done"],
    },
)


def year_statistics(strikes: list[dict[str, Any]]) -> dict[str, Any]:
    dearest = max(strikes, key=lambda strike: strike["cost"])
    months = Counter(int(strike["date"][5:7]) for strike in strikes)
    species = Counter(strike["species"] for strike in strikes if not strike["species"].startswith("Unknown"))
    speeds = [strike["speed"] for strike in strikes if "speed" in strike]
    return {
        "strikes": len(strikes),
        "damaging": sum(strike["damaged"] for strike in strikes),
        "cost": sum(strike["cost"] for strike in strikes),
        **({"medianSpeed": statistics.median(speeds)} if speeds else {}),
        "months": [months[month] for month in range(1, 13)],
        "phases": dict(Counter(strike["phase"] for strike in strikes)),
        "topSpecies": min(species, key=lambda name: (-species[name], name.lower()), default="none identified"),
        "dearest": {key: dearest[key] for key in ("cost", "airport", "species", "date")},
        "lastDay": max(strike["date"] for strike in strikes),
    }


@define_worker
def year(job: Job, ctx: RunContext) -> dict[str, Any]:
    name = job.data["year"]
    strikes = json.loads(Path(job.data["rows"]).read_text(encoding="utf-8"))
    stats = year_statistics(strikes)
    ctx.logger.info(f"{name}: {stats['strikes']} strikes, {stats['damaging']} with damage")
    ctx.state.update("years", lambda years: {**(years or {}), name: stats})
    ctx.flow.emit("year.done", {"year": name})
    return {"year": name, "strikes": stats["strikes"], "cost": stats["cost"]}
