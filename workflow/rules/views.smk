# What people read, made from results: long files with every score, tables, figures, the study and the page.


rule check_experiment:
    input:
        expected,
    output:
        "results/{profile}/check.json",
    log:
        "results/{profile}/logs/check_experiment.log",
    priority: 1000  # before anything else is begun
    localrule: True
    shell:
        "siamla config check --profile {wildcards.profile} --stamp > {log:q} 2>&1"


rule collect_scores:
    input:
        shown_in("collect"),
    output:
        multiext("results/{profile}/scores", ".csv", ".sources.json"),
        "results/{profile}/sequences.csv",
        "results/{profile}/curves.csv",
        "results/{profile}/attributes.csv",
    log:
        "results/{profile}/logs/collect_scores.log",
    localrule: True
    shell:
        "siamla report collect --profile {wildcards.profile} > {log:q} 2>&1"


# a target of its own
rule collect_sweeps:
    input:
        shown_in("sweeps"),
        f"results/{PROFILE}/check.json",
    output:
        multiext(f"results/{PROFILE}/sweeps", ".csv", ".sources.json"),
    log:
        f"results/{PROFILE}/logs/collect_sweeps.log",
    localrule: True
    params:
        profile=PROFILE,
    shell:
        "siamla report sweeps --profile {params.profile} > {log:q} 2>&1"


rule make_table:
    input:
        shown_in("table"),
    output:
        multiext(
            "reports/{profile}/tables/table{table}",
            ".md",
            ".csv",
            ".tex",
            ".sources.json",
        ),
    log:
        "results/{profile}/logs/make_table/{table}.log",
    localrule: True
    shell:
        "siamla report table {wildcards.table} --profile {wildcards.profile} > {log:q} 2>&1"


rule make_figure:
    input:
        shown_in("figure"),
    output:
        multiext(
            "reports/{profile}/figures/{figure}",
            ".pdf",
            ".svg",
            ".png",
            ".csv",
            ".md",
            ".json",
        ),
    log:
        "results/{profile}/logs/make_figure/{figure}.log",
    localrule: True
    shell:
        "siamla report figure {wildcards.figure} --profile {wildcards.profile} > {log:q} 2>&1"


rule make_study:
    input:
        shown_in("study"),
    output:
        multiext("reports/{profile}/study", ".md", ".json"),
    log:
        "results/{profile}/logs/make_study.log",
    localrule: True
    shell:
        "siamla report study --profile {wildcards.profile} > {log:q} 2>&1"


rule make_page:
    input:
        shown_in("page"),
        files_of("figure", ".json"),
    output:
        multiext("reports/{profile}/index", ".html", ".sources.json"),
    log:
        "results/{profile}/logs/make_page.log",
    localrule: True
    shell:
        "siamla report page --profile {wildcards.profile} > {log:q} 2>&1"
