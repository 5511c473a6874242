# A rule for each entry of the table of steps, siamla/experiment/steps.py

for step in STEPS.values():
    names = step.folder.split("/", 3)[3]

    rule:
        name:
            step.name
        input:
            partial(parents, step),
        output:
            record_of(step),
        log:
            f"results/{{profile}}/logs/{step.name}/{names}-{{key}}.log",
        benchmark:
            f"results/{{profile}}/timings/{step.name}/{names}-{{key}}.tsv"
        priority: step.priority
        localrule: step.local
        threads: step.threads
        resources:
            mem_mb=step.mem_mb,
            runtime=step.runtime,
        params:
            command=partial(command, step),
            # Snakemake deletes a log before each try: a second name keeps what the tries before said
            tries=f"results/{{profile}}/logs/{step.name}/{names}-{{key}}.tries",
        shell:
            "touch {params.tries:q}; ln -f {params.tries:q} {log:q}; "
            "{params.command} --key {wildcards.key} --cores {threads} >> {log:q} 2>&1"


# A training's file as a target: the training writes it, and Snakemake must not delete it before
rule model:
    input:
        training_of,
    output:
        update("results/{profile}/train/{variant}/seed{seed}/model.pt"),
    log:
        "results/{profile}/logs/model/{variant}/seed{seed}.log",
    localrule: True
    shell:
        "ls -l {output:q} > {log:q}"
