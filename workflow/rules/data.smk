# Data sets: brought or made by DVC, checked, cut into crops.


rule fetch_dataset:
    output:
        "data/ready/{profile}/{dataset}.json",
    log:
        "results/{profile}/logs/fetch_dataset/{dataset}.log",
    benchmark:
        "results/{profile}/benchmarks/fetch_dataset/{dataset}.tsv"
    priority: 100  # a missing folder is found before hours are spent
    threads: 64  # all cores: rendering is parallel inside, and DVC allows one writer
    params:
        root=lambda wildcards: dataset(wildcards).root,
        dvc=lambda wildcards: dataset(wildcards).dvc or "",
        settings=synthetic_settings,
        code=lambda wildcards: CODE["synthesize"] if dataset(wildcards).dvc else "",
    shell:
        "siamla data fetch --root {params.root:q} --dvc={params.dvc:q} --out {output:q} > {log:q} 2>&1"


rule curate_dataset:
    input:
        "data/ready/{profile}/{dataset}.json",
    output:
        "data/curated/{profile}/{dataset}/report.json",
    log:
        "results/{profile}/logs/curate_dataset/{dataset}.log",
    benchmark:
        "results/{profile}/benchmarks/curate_dataset/{dataset}.tsv"
    params:
        layout=lambda wildcards: dataset(wildcards).layout,
        root=lambda wildcards: dataset(wildcards).root,
        limit=frame_limit,
        folder=subpath(output[0], parent=True),
        code=CODE["curate"],
    shell:
        "siamla data curate --layout {params.layout} --root {params.root:q} --name {wildcards.dataset} "
        "--out {params.folder:q} --jobs {threads} {params.limit} > {log:q} 2>&1"


rule build_crops:
    input:
        "data/curated/{profile}/{dataset}/report.json",
    output:
        "data/crops/{profile}/{dataset}/{crops}/manifest.json",
    log:
        "results/{profile}/logs/build_crops/{dataset}/{crops}.log",
    benchmark:
        "results/{profile}/benchmarks/build_crops/{dataset}/{crops}.tsv"
    threads: 2
    params:
        curated=subpath(input[0], parent=True),
        folder=subpath(output[0], parent=True),
        settings=lambda wildcards: canonical_json(crops_by_digest()[wildcards.crops]),
        code=CODE["crops"],
    shell:
        "siamla data crops --curated {params.curated:q} --settings {params.settings:q} "
        "--out {params.folder:q} --jobs {threads} > {log:q} 2>&1"
