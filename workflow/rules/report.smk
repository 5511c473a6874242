# One file of scores, the check that MLflow shows the same, and the tables.


rule collect_scores:
    input:
        score_files,
    output:
        scores="results/{profile}/scores.csv",
        sequences="results/{profile}/sequences.csv",
    log:
        "results/{profile}/logs/collect_scores.log",
    benchmark:
        "results/{profile}/benchmarks/collect_scores.tsv"
    params:
        code=CODE["report"],
    shell:
        "siamla report collect {input:q} --out {output.scores:q} --sequences {output.sequences:q} > {log:q} 2>&1"


rule sync_tracking:
    input:
        score_files,
        training_files,
        tracking=ancient("results/{profile}/tracking.json"),
    output:
        "results/{profile}/tracking_audit.json",
    log:
        "results/{profile}/logs/sync_tracking.log",
    benchmark:
        "results/{profile}/benchmarks/sync_tracking.tsv"
    shell:
        "siamla runs sync --results results --profile {wildcards.profile} --out {output:q} > {log:q} 2>&1"


rule make_table:
    input:
        scores="results/{profile}/scores.csv",
        sequences="results/{profile}/sequences.csv",
        layout="params/tables.yaml",
        data=curated_reports,
    output:
        "reports/{profile}/tables/table{table}.md",
        "reports/{profile}/tables/table{table}.csv",
        "reports/{profile}/tables/table{table}.tex",
    log:
        "results/{profile}/logs/make_table/{table}.log",
    benchmark:
        "results/{profile}/benchmarks/make_table/{table}.tsv"
    params:
        variants=lambda wildcards: canonical_json(table_variants()),
        benchmarks=lambda wildcards: canonical_json(table_benchmarks()),
        data=lambda wildcards: [
            f"{name}={curated(name)}" for name in EXPERIMENT.profile.benchmarks
        ],
        caption=caption(),
        folder=subpath(output[0], parent=True),
        code=CODE["report"],
    shell:
        "siamla report table {wildcards.table} --scores {input.scores:q} --sequences {input.sequences:q} "
        "--layout {input.layout:q} --variants {params.variants:q} --benchmarks {params.benchmarks:q} "
        "--data {params.data:q} --caption {params.caption:q} --out {params.folder:q} > {log:q} 2>&1"
