"""``python -m benchmarks`` lists what can be measured; ``python -m benchmarks ingest --events 100000`` measures."""

import importlib
import sys

MEASUREMENTS = {
    "scaling": "what tens of workers on one lake come to, simulated: throughput, conflicts, and whether each record counts once (a minute)",
    "costs": "which part of a lake breaks first as events grow, and what replaces it (from what 'lake' measured)",
    "lake": "how fast several workers on one lake are, against one on a file, and how long readers wait (make bench-lake)",
    "lake_live": "whether a lake stays small while it is written live (make bench-lake-live; an hour)",
    "ingest": "how fast the worker takes payments out of Kafka and publishes them, against a bare reader (some minutes)",
    "peers": "how others do on the same topic in the same run (make bench-peers)",
    "report": "how long the loss report on a published state takes (needs --published, a state such as a demo leaves)",
    "poison": "how much of that speed is left while every tenth message is refused (some minutes)",
    "stages": "where the worker's processor time goes for each payment (a minute)",
    "live": "how old is what can be read while 5,000 payments a second come in (two minutes)",
    "history": "what restarts, batches and questions cost after 3 and after 30 days of history (some minutes)",
    "simulator": "how many events a second the simulator makes, with sending switched off",
    "dashboard": "how fast the live page refreshes for ten viewers while new states are published (two minutes)",
    "launch": "whether the loss of a launch holds what it claims, in a simulated world that no method knows (some minutes)",
    "net": "how far off the net shortfall is, in a simulated world that no method knows (some minutes)",
    "estimate": "how long an estimate of all 1,400 markets takes, with its intervals",
    "feasts": "whether loss intervals hold what they claim around Seollal and Chuseok, in simulated years (some minutes)",
    "forecast": "how far off forecasts of demand are, beside seasonal naive, MSTL and AutoETS (make bench-forecast; an hour)",
    "capacity": "how often the interval of a knee covers it, and how early a warning comes, on simulated platforms (ten minutes)",
    "accuracy": "how far off the loss estimate is on real sales (needs --data, a folder with FreshRetailNet-50K)",
    "detection": "how soon incidents are found and how often falsely (with --data also on bank calls and taxi rides; half an hour)",
}


def main(arguments: list[str]) -> int:
    """Run the measurement that the first argument names, or list them all. Returns the exit code."""
    if not arguments or arguments[0] in {"-h", "--help", "list"}:
        print("python -m benchmarks NAME [OPTIONS], where NAME is one of\n")
        for name, what in MEASUREMENTS.items():
            print(f"  {name:<10} {what}")
        print("\nOptions of one: python -m benchmarks ingest --help")
        return 0
    name, *rest = arguments
    if name not in MEASUREMENTS:
        print(f"There is no measurement {name!r}. Known: {', '.join(MEASUREMENTS)}.", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"benchmarks.{name}").main(rest) or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
