# Features of the frozen backbone, shared by all variants, and one training per variant and seed.


rule init_tracking:
    output:
        "results/{profile}/tracking.json",
    log:
        "results/{profile}/logs/init_tracking.log",
    benchmark:
        "results/{profile}/benchmarks/init_tracking.tsv"
    shell:
        "siamla runs init --results results --profile {wildcards.profile} --out {output:q} > {log:q} 2>&1"


rule compute_features:
    input:
        lambda wildcards: crops_manifest(feature_specs()[wildcards.features]),
    output:
        "data/features/{profile}/{features}/manifest.json",
    log:
        "results/{profile}/logs/compute_features/{features}.log",
    benchmark:
        "results/{profile}/benchmarks/compute_features/{features}.tsv"
    threads: 2
    params:
        crops=subpath(input[0], parent=True),
        folder=subpath(output[0], parent=True),
        spec=feature_settings,
        code=CODE["features"],
    shell:
        "siamla train features --crops {params.crops:q} --spec {params.spec:q} "
        "--out {params.folder:q} --jobs {threads} > {log:q} 2>&1"


rule train:
    input:
        unpack(training_inputs),
        tracking=ancient("results/{profile}/tracking.json"),
    output:
        model="results/{profile}/train/{variant}/seed{seed}/model.pt",
        history="results/{profile}/train/{variant}/seed{seed}/history.csv",
        spec="results/{profile}/train/{variant}/seed{seed}/spec.json",
        run="results/{profile}/train/{variant}/seed{seed}/run.json",
    log:
        "results/{profile}/logs/train/{variant}/seed{seed}.log",
    benchmark:
        "results/{profile}/benchmarks/train/{variant}/seed{seed}.tsv"
    threads: 1
    resources:
        gpu=1,
    params:
        crops=subpath(input.crops, parent=True),
        features=lambda wildcards, input: (
            f"--features {Path(input.features).parent}"
            if "features" in input.keys()
            else ""
        ),
        folder=subpath(output.model, parent=True),
        spec=lambda wildcards: canonical_json(
            training_part(EXPERIMENT.specs[wildcards.variant])
        ),
        code=CODE["train"],
    shell:
        "siamla train run --profile {wildcards.profile} --variant {wildcards.variant} --seed {wildcards.seed} "
        "--spec {params.spec:q} --crops {params.crops:q} {params.features} --threads {threads} "
        "--state results/{wildcards.profile}/state/{wildcards.variant}-seed{wildcards.seed} "
        "--results results --out {params.folder:q} > {log:q} 2>&1"
