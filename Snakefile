# The pipeline: data → crops → features → one training per variant and seed → predictions → scores → tables.
# snakemake --cores all [--config profile=NAME] [reproduce_tables | reproduce_figures | reproduce_study | reproduce_all]


import re


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


wildcard_constraints:
    **{name: "|".join(map(re.escape, names)) or "(?!)" for name, names in NAMES.items()},
    profile=PROFILE,
    figure=r"\w+",
    seed=r"\d+",
    table=r"\d+",


localrules:
    reproduce_tables,
    check_experiment,
    fetch_dataset,
    collect_scores,
    collect_sweeps,
    make_table,
    make_figure,
    make_page,
    make_study,
    reproduce_figures,
    reproduce_study,
    reproduce_all,


rule reproduce_tables:
    default_target: True
    input:
        hold,
        f"results/{PROFILE}/check.json",
        [f"reports/{PROFILE}/tables/table{number}.md" for number in TABLES],
        f"results/{PROFILE}/scores.csv",


# what may have a mistake in it stands before `hold`, which prepares a run
rule reproduce_figures:
    input:
        figure_files(".png"),
        hold,
        f"results/{PROFILE}/check.json",


rule reproduce_study:
    input:
        study_file,
        hold,
        f"results/{PROFILE}/check.json",


rule reproduce_all:
    input:
        rules.reproduce_figures.input,
        rules.reproduce_tables.input,
        f"reports/{PROFILE}/index.html",


include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/sweeps.smk"
include: "workflow/rules/report.smk"


onstart:
    # jobs of one thread are forked from a process that has imported torch and the like; a cluster's jobs run elsewhere
    if workflow.local_exec:
        warm.start(PROFILE)


onsuccess:
    # a view: whatever happens to it, the experiment has succeeded
    shell(f"siamla mlflow sync --profile {PROFILE} || true")
