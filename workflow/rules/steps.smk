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
