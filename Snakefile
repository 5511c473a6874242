# The pipeline: data → crops → features → one training per variant and seed → predictions → scores → tables.
# snakemake --cores all [--config profile=NAME] [reproduce_tables | reproduce_all]


include: "workflow/rules/common.smk"


wildcard_constraints:
    profile=PROFILE,
    dataset="|".join(DATASETS),
    benchmark="|".join(EXPERIMENT.profile.benchmarks),
    variant="|".join(EXPERIMENT.specs),
    seed=r"\d+",
    table="[1-6]",


localrules:
    reproduce_tables,
    fetch_dataset,
    init_tracking,
    collect_scores,
    sync_tracking,
    make_table,


rule reproduce_tables:
    default_target: True
    input:
        tables(),
        f"results/{PROFILE}/tracking_audit.json",


include: "workflow/rules/data.smk"
include: "workflow/rules/training.smk"
include: "workflow/rules/benchmark.smk"
include: "workflow/rules/report.smk"
