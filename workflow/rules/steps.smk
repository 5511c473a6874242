# A rule for each entry of the table of steps (siamla/experiment/steps.py): paths, what it asks of the machine, and one
# command.

for step in STEPS.values():

    rule:
        name:
            step.name
        input:
            parents_of(step),
        output:
            record_of(step),
        log:
            beside(step, "logs", "log"),
        benchmark:
            beside(step, "timings", "tsv")
        priority: step.priority
        localrule: step.local
        threads: step.threads
        resources:
            mem_mb=step.mem_mb,
            runtime=step.runtime,
        params:
            command=command_of(step),
            # Snakemake deletes a log before each try: a second name keeps what the tries before said
            tries=beside(step, "logs", "tries"),
        shell:
            "touch {params.tries:q}; ln -f {params.tries:q} {log:q}; "
            "{params.command} --key {wildcards.key} --cores {threads} >> {log:q} 2>&1"
