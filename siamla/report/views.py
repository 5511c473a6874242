"""What is wrong with the settings of views: figures, the study, the page."""

from siamla.experiment.drawing import figure_job, figure_names, page_key
from siamla.experiment.plan import Plan
from siamla.experiment.study import study_job
from siamla.settings import Mistakes


def view_mistakes(plan: Plan) -> list[str]:
    """A line for each mistake that stops a figure, the study or the page, and no training."""
    mistakes = Mistakes()
    with mistakes.noted():
        for name in figure_names(plan):
            with mistakes.noted():
                figure_job(plan, name)
    for make in (study_job, page_key):
        with mistakes.noted():
            make(plan)
    return list(dict.fromkeys(mistakes.lines))
