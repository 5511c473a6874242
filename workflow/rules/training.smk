# Features of the frozen backbone, shared by all variants, and one training per variant and seed.

FEATURES = "data/features/{profile}/{features}/stamp"
TRAINED = "results/{profile}/train/{variant}/seed{seed}/stamp"


rule compute_features:
    input:
        made_from(FEATURES),
    output:
        FEATURES,
    log:
        "results/{profile}/logs/compute_features/{features}.log",
    benchmark:
        "results/{profile}/timings/compute_features/{features}.tsv"
    priority: 80
    threads: 2
    params:
        key=key(FEATURES),
        variant=variant_of(FEATURES),
    shell:
        "siamla train features {params.variant} --profile {wildcards.profile} --key {params.key} "
        "--jobs {threads} > {log:q} 2>&1"


rule train:
    input:
        made_from(TRAINED),
    output:
        TRAINED,
    log:
        "results/{profile}/logs/train/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/timings/train/{variant}/seed{seed}.tsv"
    priority: 50  # the longest jobs first: a training that begins last would leave the other cores idle
    threads: 1
    resources:
        # no parameter: how many processes train together decides no more than last digits. docs/training.md
        command=config.get("train", "siamla train run"),
    params:
        key=key(TRAINED),
    shell:
        "{resources.command} {wildcards.variant} --seed {wildcards.seed} --profile {wildcards.profile} "
        "--key {params.key} --threads {threads} > {log:q} 2>&1"
