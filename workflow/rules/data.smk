# Data sets: brought or made by DVC, checked, cut into crops.

READY = "data/ready/{profile}/{dataset}/stamp"
CURATED = "data/curated/{profile}/{dataset}/stamp"
CROPS = "data/crops/{profile}/{dataset}/{crops}/stamp"
CHECKED = "results/{profile}/check.json"


rule check_experiment:
    output:
        CHECKED,
    log:
        "results/{profile}/logs/check_experiment.log",
    priority: 1000  # before anything else is begun
    params:
        key=PLAN.surroundings,
    shell:
        "siamla config check --profile {wildcards.profile} --stamp > {log:q} 2>&1"


rule fetch_dataset:
    output:
        READY,
    log:
        "results/{profile}/logs/fetch_dataset/{dataset}.log",
    benchmark:
        "results/{profile}/timings/fetch_dataset/{dataset}.tsv"
    priority: 100  # a missing folder is found before hours are spent
    threads: 64  # all cores: rendering is parallel inside, and DVC allows one writer
    params:
        key=key(READY),
    shell:
        "siamla data fetch {wildcards.dataset} --profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"


rule curate_dataset:
    input:
        READY,
    output:
        CURATED,
    log:
        "results/{profile}/logs/curate_dataset/{dataset}.log",
    benchmark:
        "results/{profile}/timings/curate_dataset/{dataset}.tsv"
    priority: 90
    params:
        key=key(CURATED),
    shell:
        "siamla data curate {wildcards.dataset} --profile {wildcards.profile} --key {params.key} "
        "--jobs {threads} > {log:q} 2>&1"


rule build_crops:
    input:
        made_from(CROPS),
    output:
        CROPS,
    log:
        "results/{profile}/logs/build_crops/{dataset}/{crops}.log",
    benchmark:
        "results/{profile}/timings/build_crops/{dataset}/{crops}.tsv"
    priority: 80  # all trainings wait for crops and features
    threads: 2
    params:
        key=key(CROPS),
        variant=variant_of(CROPS),
    shell:
        "siamla data crops {params.variant} --dataset {wildcards.dataset} --profile {wildcards.profile} "
        "--key {params.key} --jobs {threads} > {log:q} 2>&1"
