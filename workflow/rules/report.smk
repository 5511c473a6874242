# Long files with every score, curve and attribute, the tables, the figures and the page.


rule collect_scores:
    input:
        [job.stamp.as_posix() for job in PLAN.scores()],
    output:
        scores="results/{profile}/scores.csv",
        sequences="results/{profile}/sequences.csv",
        curves="results/{profile}/curves.csv",
        attributes="results/{profile}/attributes.csv",
    log:
        "results/{profile}/logs/collect_scores.log",
    benchmark:
        "results/{profile}/timings/collect_scores.tsv"
    params:
        key=collection_key(PLAN),
    shell:
        "siamla report collect --profile {wildcards.profile} > {log:q} 2>&1"


rule make_table:
    input:
        lambda wildcards: [
            job.stamp.as_posix()
            for job in TABLES[int(wildcards.table)].parents.values()
        ],
    output:
        "reports/{profile}/tables/table{table}.md",
        "reports/{profile}/tables/table{table}.csv",
        "reports/{profile}/tables/table{table}.tex",
        "reports/{profile}/tables/table{table}.sources.json",
    log:
        "results/{profile}/logs/make_table/{table}.log",
    benchmark:
        "results/{profile}/timings/make_table/{table}.tsv"
    params:
        key=lambda wildcards: TABLES[int(wildcards.table)].key,
    shell:
        "siamla report table {wildcards.table} --profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"


rule make_figure:
    input:
        lambda wildcards: [
            job.stamp.as_posix()
            for job in asked(figure, wildcards.figure).parents.values()
        ],
    output:
        multiext(
            "reports/{profile}/figures/{figure}",
            ".pdf",
            ".png",
            ".csv",
            ".md",
            ".json",
        ),
        report(
            "reports/{profile}/figures/{figure}.svg",
            caption="../report/figure.rst",
            category="2 Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "results/{profile}/logs/make_figure/{figure}.log",
    benchmark:
        "results/{profile}/timings/make_figure/{figure}.tsv"
    params:
        key=lambda wildcards: figure(wildcards.figure).key,
        title=lambda wildcards: figure(wildcards.figure).identity.plain["entry"][
            "title"
        ],
    shell:
        "siamla report figure {wildcards.figure} --profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"


rule make_study:
    input:
        lambda wildcards: [
            job.stamp.as_posix() for job in asked(study).parents.values()
        ],
    output:
        "reports/{profile}/study.md",
        "reports/{profile}/study.json",
    log:
        "results/{profile}/logs/make_study.log",
    benchmark:
        "results/{profile}/timings/make_study.tsv"
    params:
        key=lambda wildcards: study().key,
    shell:
        "siamla report study --profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"


rule make_page:
    input:
        [job.stamp.as_posix() for job in PLAN.scores()],
        figure_files(".json"),
    output:
        report(
            "reports/{profile}/index.html",
            caption="../report/page.rst",
            category="3 Page",
        ),
    log:
        "results/{profile}/logs/make_page.log",
    benchmark:
        "results/{profile}/timings/make_page.tsv"
    params:
        key=lambda wildcards: asked(page_key, PLAN),
    shell:
        "siamla report page --profile {wildcards.profile} --key {params.key} > {log:q} 2>&1"
