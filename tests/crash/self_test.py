"""Records and servers that do not fit: each difference has to be found."""

from record import ACKED, ASKED, Entry, Record, check_history


def entry(**fields):
    one = Entry("a-1", ("COMPLETED", 5))
    one.start = ACKED
    for name, value in fields.items():
        setattr(one, name, value)
    return one


def findings(one, found, complete=True):
    record = Record()
    record.add(one)
    record.check_all(record.snapshot(), found, complete)
    return record.violations


DONE = {"a-1": ("COMPLETED", 5)}
RUNNING = {"a-1": ("RUNNING", None)}
HEARD = dict(wanted=None, counts_events=True,
             events=[["x", ACKED], ["y", ASKED], ["z", ACKED]])
RACED = dict(wanted=None, starts=[["p", ACKED], ["q", ASKED]])


def heard(*names):
    return {"a-1": ("COMPLETED", list(names))}


# (what is in the record, what the server has, words of the violation or None)
CASES = (
    (entry(), DONE, None),
    (entry(start=ASKED), {}, None),
    (entry(start=ASKED), DONE, None),
    (entry(), {}, "is gone"),
    (entry(), {"a-1": ("COMPLETED", 4)}, "wanted"),
    (entry(), {"a-1": ("FAILED", None)}, "wanted"),
    (entry(), {"a-1": ("TERMINATED", "x")}, "nobody asked"),
    (entry(), RUNNING, "never ended"),
    (entry(end=("COMPLETED", 5)), RUNNING, "had ended"),
    (entry(end=("COMPLETED", 5)), {"a-1": ("PENDING", None)}, "had ended"),
    (entry(), {**DONE, "b-1": ("RUNNING", None)}, "nobody asked"),
    (entry(), {**DONE, "a-1/c0": ("COMPLETED", 0)}, None),
    (entry(purge=ASKED), {}, None),
    (entry(purge=ASKED), DONE, None),
    (entry(purge=ACKED), {}, None),
    (entry(purge=ACKED), DONE, "was purged"),
    (entry(terminate=(ACKED, "x")), {"a-1": ("TERMINATED", "x")}, None),
    (entry(terminate=(ASKED, "x")), DONE, None),
    (entry(terminate=(ACKED, "x")), DONE, "acknowledged a terminate"),
    (entry(terminate=(ACKED, "x")), {"a-1": ("TERMINATED", "y")}, "terminated with"),
    (entry(**HEARD), heard("x", "y", "z"), None),
    (entry(**HEARD), heard("x", "z"), None),
    (entry(**HEARD), heard("x", "y"), "lost"),
    (entry(**HEARD), heard("x", "z", "z"), "2 times"),
    (entry(**HEARD), heard("x", "y", "y", "z"), "2 times"),
    (entry(**HEARD), heard("z", "x"), "out of order"),
    (entry(**HEARD, ordered=False), heard("z", "x"), None),
    (entry(**HEARD, ordered=False), heard("z", "y"), "lost"),
    (entry(**HEARD), heard("x", "z", "w"), "nobody raised"),
    (entry(**RACED), {"a-1": ("COMPLETED", "p")}, None),
    (entry(**RACED), {"a-1": ("COMPLETED", "q")}, "acknowledged was"),
    (entry(wanted=None, starts=[["p", ASKED]]), {"a-1": ("COMPLETED", "r")},
     "nobody gave"),
    (entry(wanted=None, starts=[["p", ACKED], ["q", ACKED]]),
     {"a-1": ("COMPLETED", "p")}, "created 2 times"),
    (entry(wanted=None, starts=[["p", ACKED]], start=ASKED), {}, "is gone"),
)

GOOD = [("orchestratorStarted", -1, 10_000_000), ("executionStarted", -1, 9_000_000),
        ("taskScheduled", 1, 10_000_000), ("orchestratorStarted", -1, 11_000_000),
        ("taskCompleted", 1, 11_000_000), ("executionCompleted", 2, 11_000_000)]
HISTORIES = (
    (GOOD, None),
    (GOOD + GOOD[4:5], "twice"), (GOOD[:2] + GOOD[1:], "twice"),
    (GOOD[:2] + GOOD[3:], "without"), (GOOD[1:], "begins"),
    (GOOD[:3] + [("orchestratorStarted", -1, 10_900_000)], "not 1 ms later"),
)


def main():
    missed = []
    for one, found, words in CASES:
        said = findings(one, found)
        if (not said) != (words is None) or (words and words not in said[0]):
            missed.append(f"{vars(one)} with {found}: wanted {words}, got {said}")
    for events, words in HISTORIES:
        said = check_history(events)
        if (said is None) != (words is None) or (words and words not in said):
            missed.append(f"{events}: wanted {words}, got {said}")
    print("\n".join(missed) or f"{len(CASES) + len(HISTORIES)} records were judged well")
    return 1 if missed else 0
