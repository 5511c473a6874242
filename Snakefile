# The pipeline: data → crops → features → one training per variant and seed → predictions → scores → tables.
# snakemake --cores all [--config profile=NAME] [reproduce_tables | reproduce_figures | reproduce_study | reproduce_all]


include: "workflow/rules/common.smk"


localrules:
    reproduce_tables,
    reproduce_figures,
    reproduce_study,
    reproduce_all,


wildcard_constraints:
    **{name: "[^/]+" for step in STEPS.values() for name in step.names},
    profile=PROFILE,
    figure=r"\w+",
    table=r"\d+",
    key=r"[0-9a-f]{16}",


rule reproduce_tables:
    default_target: True
    input:
        CHECK,
        files_of("table", ".md"),
        f"results/{PROFILE}/scores.csv",


rule reproduce_figures:
    input:
        files_of("figure", ".png"),
        CHECK,


rule reproduce_study:
    input:
        files_of("study", ".md"),
        CHECK,


rule reproduce_all:
    input:
        rules.reproduce_figures.input,
        rules.reproduce_tables.input,
        f"reports/{PROFILE}/index.html",


include: "workflow/rules/steps.smk"
include: "workflow/rules/views.smk"


onstart:
    begin()


onsuccess:
    # a view: whatever happens to it, the experiment has succeeded
    shell(f"siamla mlflow sync --profile {PROFILE} || true")
