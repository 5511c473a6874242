# Predictions of every trained model on every benchmark, and their scores; a new metric needs no tracking.


rule predict:
    input:
        model="results/{profile}/train/{variant}/seed{seed}/model.pt",
        curated="data/curated/{profile}/{benchmark}/report.json",
    output:
        "results/{profile}/predictions/{benchmark}/{variant}/seed{seed}/run.json",
    log:
        "results/{profile}/logs/predict/{benchmark}/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/benchmarks/predict/{benchmark}/{variant}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        folder=subpath(output[0], parent=True),
        curated=subpath(input.curated, parent=True),
        tracker=lambda wildcards: canonical_json(
            tracker_settings(wildcards.variant, wildcards.benchmark)
        ),
        protocol=protocol_json,
        code=CODE["predict"],
    shell:
        "siamla benchmark predict --profile {wildcards.profile} --benchmark {wildcards.benchmark} "
        "--variant {wildcards.variant} --seed {wildcards.seed} --model {input.model:q} --curated {params.curated:q} "
        "--tracker {params.tracker:q} --protocol {params.protocol:q} --out {params.folder:q} --workers {threads} "
        "> {log:q} 2>&1"


rule score:
    input:
        run="results/{profile}/predictions/{benchmark}/{variant}/seed{seed}/run.json",
        train="results/{profile}/train/{variant}/seed{seed}/run.json",
        curated="data/curated/{profile}/{benchmark}/report.json",
    output:
        "results/{profile}/scores/{benchmark}/{variant}/seed{seed}.json",
    log:
        "results/{profile}/logs/score/{benchmark}/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/benchmarks/score/{benchmark}/{variant}/seed{seed}.tsv"
    params:
        predictions=subpath(input.run, parent=True),
        curated=subpath(input.curated, parent=True),
        protocol=protocol_json,
        code=CODE["score"],
    shell:
        "siamla benchmark score --predictions {params.predictions:q} --train {input.train:q} "
        "--curated {params.curated:q} --protocol {params.protocol:q} --out {output:q} > {log:q} 2>&1"


rule score_imported:
    input:
        predictions=lambda wildcards: EXPERIMENT.profile.imported[
            wildcards.tracker
        ].results[wildcards.benchmark],
        curated="data/curated/{profile}/{benchmark}/report.json",
    output:
        "results/{profile}/scores/{benchmark}/imported/{tracker}.json",
    log:
        "results/{profile}/logs/score_imported/{benchmark}/{tracker}.log",
    benchmark:
        "results/{profile}/benchmarks/score_imported/{benchmark}/{tracker}.tsv"
    params:
        curated=subpath(input.curated, parent=True),
        protocol=protocol_json,
        code=CODE["score"],
    shell:
        "siamla results score --profile {wildcards.profile} --benchmark {wildcards.benchmark} "
        "--name {wildcards.tracker} --predictions {input.predictions:q} --curated {params.curated:q} "
        "--protocol {params.protocol:q} --out {output:q} > {log:q} 2>&1"
