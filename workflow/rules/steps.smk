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
        shell:
            "{params.command} --key {wildcards.key} --cores {threads} >> {log:q} 2>&1"
