# Predictions of every trained model on every benchmark, and their scores; a new metric needs no tracking.

PREDICTED = "results/{profile}/predictions/{benchmark}/{variant}/seed{seed}/stamp"
MAPPED = "results/{profile}/maps/{benchmark}/{variant}/seed{seed}/stamp"
ALIGNED = "results/{profile}/alignment/{benchmark}/{variant}/seed{seed}/stamp"
SCORED = "results/{profile}/scores/{benchmark}/{variant}/seed{seed}.json"
IMPORTED = "results/{profile}/scores/{benchmark}/imported/{tracker}.json"


rule predict:
    input:
        made_from(PREDICTED),
    output:
        PREDICTED,
    log:
        "results/{profile}/logs/predict/{benchmark}/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/timings/predict/{benchmark}/{variant}/seed{seed}.tsv"
    priority: 20
    threads: 1
    params:
        key=key(PREDICTED),
    shell:
        "siamla benchmark predict {wildcards.benchmark} {wildcards.variant} --seed {wildcards.seed} "
        "--profile {wildcards.profile} --key {params.key} --workers {threads} > {log:q} 2>&1"


rule store_maps:
    input:
        made_from(MAPPED),
    output:
        MAPPED,
    log:
        "results/{profile}/logs/store_maps/{benchmark}/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/timings/store_maps/{benchmark}/{variant}/seed{seed}.tsv"
    threads: 1
    params:
        key=key(MAPPED),
    shell:
        "siamla benchmark maps {wildcards.benchmark} {wildcards.variant} --seed {wildcards.seed} "
        "--profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"


rule measure_alignment:
    input:
        made_from(ALIGNED),
    output:
        ALIGNED,
    log:
        "results/{profile}/logs/measure_alignment/{benchmark}/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/timings/measure_alignment/{benchmark}/{variant}/seed{seed}.tsv"
    threads: 1
    params:
        key=key(ALIGNED),
    shell:
        "siamla benchmark alignment {wildcards.benchmark} {wildcards.variant} --seed {wildcards.seed} "
        "--profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"


rule score:
    input:
        made_from(SCORED),
    output:
        SCORED,
    log:
        "results/{profile}/logs/score/{benchmark}/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/timings/score/{benchmark}/{variant}/seed{seed}.tsv"
    params:
        key=key(SCORED),
    shell:
        "siamla benchmark score {wildcards.benchmark} {wildcards.variant} --seed {wildcards.seed} "
        "--profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"


rule score_imported:
    input:
        lambda wildcards: PLAN.profile.imported[wildcards.tracker].results[
            wildcards.benchmark
        ],
        made_from(IMPORTED),
    output:
        IMPORTED,
    log:
        "results/{profile}/logs/score_imported/{benchmark}/{tracker}.log",
    benchmark:
        "results/{profile}/timings/score_imported/{benchmark}/{tracker}.tsv"
    params:
        key=key(IMPORTED),
    shell:
        "siamla results score {wildcards.benchmark} {wildcards.tracker} --profile {wildcards.profile} "
        "--key {params.key} > {log:q} 2>&1"
