# The pipeline: data → crops → features → one training per variant and seed → predictions → scores → tables.
# snakemake --cores all [--config profile=NAME] [reproduce_tables]


import re


include: "workflow/rules/common.smk"


wildcard_constraints:
    **{name: "|".join(map(re.escape, names)) or "(?!)" for name, names in NAMES.items()},
    profile=PROFILE,
    seed=r"\d+",
    table=r"\d+",


localrules:
    reproduce_tables,
    check_experiment,
    fetch_dataset,
    collect_scores,
    collect_sweeps,
    make_table,


rule reproduce_tables:
    default_target: True
    input:
        hold,
        f"results/{PROFILE}/check.json",
        [f"reports/{PROFILE}/tables/table{number}.md" for number in TABLES],
        f"results/{PROFILE}/scores.csv",


include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/sweeps.smk"
include: "workflow/rules/report.smk"


onsuccess:
    # a view: whatever happens to it, the experiment has succeeded
    shell(f"siamla mlflow sync --profile {PROFILE} || true")
