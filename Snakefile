# The pipeline: data → crops → features → one training per variant and seed → predictions → scores → tables.
# snakemake --cores all [--config profile=NAME] [reproduce_tables | reproduce_figures | reproduce_study | reproduce_all]


import re


include: "workflow/rules/common.smk"


wildcard_constraints:
    **{name: "|".join(map(re.escape, names)) or "(?!)" for name, names in NAMES.items()},
    profile=PROFILE,
    figure=r"\w+",
    seed=r"\d+",
    table=r"\d+",
    key=r"[0-9a-f]{16}",


rule reproduce_tables:
    default_target: True
    input:
        f"results/{PROFILE}/check.json",
        files_of("table", ".md"),
        f"results/{PROFILE}/scores.csv",
    localrule: True


rule reproduce_figures:
    input:
        files_of("figure", ".png"),
        f"results/{PROFILE}/check.json",
    localrule: True


rule reproduce_study:
    input:
        files_of("study", ".md"),
        f"results/{PROFILE}/check.json",
    localrule: True


rule reproduce_all:
    input:
        rules.reproduce_figures.input,
        rules.reproduce_tables.input,
        f"reports/{PROFILE}/index.html",
    localrule: True


include: "workflow/rules/steps.smk"
include: "workflow/rules/views.smk"


onstart:
    begin()


onsuccess:
    # a view: whatever happens to it, the experiment has succeeded
    shell(f"siamla mlflow sync --profile {PROFILE} || true")
