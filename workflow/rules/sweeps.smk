# Predictions and scores at each value of a swept tracker setting; no training.

SWEPT = "results/{profile}/sweeps/{sweep}/{benchmark}/{variant}/{value}/seed{seed}"


rule predict_sweep:
    input:
        made_from(f"{SWEPT}/stamp"),
    output:
        f"{SWEPT}/stamp",
    log:
        "results/{profile}/logs/predict_sweep/{sweep}/{benchmark}/{variant}/{value}/seed{seed}.log",
    benchmark:
        "results/{profile}/timings/predict_sweep/{sweep}/{benchmark}/{variant}/{value}/seed{seed}.tsv"
    threads: 1
    params:
        key=key(f"{SWEPT}/stamp"),
    shell:
        "siamla benchmark predict {wildcards.benchmark} {wildcards.variant} --seed {wildcards.seed} "
        "--sweep {wildcards.sweep}={wildcards.value} --profile {wildcards.profile} --key {params.key} "
        "--workers {threads} > {log:q} 2>&1"


rule score_sweep:
    input:
        made_from(f"{SWEPT}.json"),
    output:
        f"{SWEPT}.json",
    log:
        "results/{profile}/logs/score_sweep/{sweep}/{benchmark}/{variant}/{value}/seed{seed}.log",
    benchmark:
        "results/{profile}/timings/score_sweep/{sweep}/{benchmark}/{variant}/{value}/seed{seed}.tsv"
    params:
        key=key(f"{SWEPT}.json"),
    shell:
        "siamla benchmark score {wildcards.benchmark} {wildcards.variant} --seed {wildcards.seed} "
        "--sweep {wildcards.sweep}={wildcards.value} --profile {wildcards.profile} --key {params.key} "
        "> {log:q} 2>&1"


rule collect_sweeps:
    input:
        hold,
        f"results/{PROFILE}/check.json",
        [job.stamp.as_posix() for job in PLAN.sweeps()],
    output:
        f"results/{PROFILE}/sweeps.csv",
    log:
        f"results/{PROFILE}/logs/collect_sweeps.log",
    benchmark:
        f"results/{PROFILE}/timings/collect_sweeps.tsv"
    params:
        profile=PROFILE,
        key=sweeps_key(PLAN),
    shell:
        "siamla report sweeps --profile {params.profile} > {log:q} 2>&1"
