"""A strike: who walked out, against whom, why, and how the talks stand."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="strike",
    slots={
        "leader": person(),  # of the union
        "director": person(),  # of the firm
        "mediator": person(),
        "driver": person(),  # a striker who is interviewed
        "shopkeeper": person(),
        "firm": organisation("Railways", "Shipyards"),
        "supplier": organisation("Railways", "Shipyards"),  # whose goods pile up
        "union": organisation("Union", "Brotherhood"),
        "city": place(),
        "depot": place(),  # where the first ones stopped
        "hotel": place(),  # where the sides meet
        "date": date(),
        "loss": money(),
        "fund": money(),  # of the union
        "workers": number(21, 980),
        "hours": number(30, 59),  # a week
        "talks": outcome("have broken down", "are moving forward"),
        "cause": choice("unpaid overtime", "dirty canteens", "night shifts", "lost pensions"),
        "quote": choice("a last resort", "a slap in the face", "an empty promise"),  # the leader's words
    },
    lead=(
        "at {firm} nothing moves: {leader} of the {union} has called everyone out, and director {director} is furious",
        "the gates of {firm} are shut since {leader} of the {union} sent a letter to director {director}",
        "director {director} of {firm} faces empty halls because {leader} of the {union} kept a threat",
    ),
    body=(
        (
            "{workers} people laid down their tools on {date}",
            "on {date}, {workers} people laid down their tools",
            "since {date} the tools of {workers} people lie idle",
        ),
        (
            "it is about {cause}, everyone here says",
            "ask anyone at the gate and the word is {cause}",
            "the banners [speak|tell|complain] of {cause}",
        ),
        (
            "the first to stop were the crews in {depot}; in {city} the others followed",
            "in {city} they followed the example of crews in {depot}",
            "what crews in {depot} began was soon copied in {city}",
        ),
        (
            "each day costs {loss}, and the fund for those on the street holds {fund}",
            "the fund for those on the street holds {fund}; each day costs {loss}",
            "with {fund} in the fund for those on the street, each day costs {loss}",
        ),
        (
            "wheel turner {driver} works {hours} hours a week",
            "a week of wheel turner {driver} has {hours} hours",
            "{hours} hours a week are normal for wheel turner {driver}",
        ),
        (
            "go-between {mediator} has booked rooms in {hotel}, but discussions {talks}",
            "discussions {talks}, says go-between {mediator} in {hotel}",
            "from {hotel}, go-between {mediator} reports that discussions {talks}",
        ),
        (
            '"{quote}", {leader} [shouted|told the crowd|said]',
            'to the crowd {leader} spoke of "{quote}"',
            'there was loud applause when {leader} said "{quote}"',
        ),
        (
            "goods of {supplier} pile up, and baker {shopkeeper} gives away bread",
            "baker {shopkeeper} gives away bread while goods of {supplier} pile up",
            "among unsent goods of {supplier}, baker {shopkeeper} hands out bread",
        ),
    ),
    openers=("on {date},", "because of {cause},"),
    mains=(
        "{workers} workers have gone on strike at {firm}",
        "a strike led by {leader} has halted {firm}",
        "union boss {leader} and company head {director} are at odds in a strike",
        "the {union} is on strike against {firm}",
        "the strike at {firm} goes on and negotiations {talks}",
        "{director} must deal with a strike by the {union}",
        "employees in {city} are striking over {cause}",
    ),
    closers=("over {cause}", "on {date}", "at a daily price of {loss}"),
    seconds=(
        'organiser {leader} complained of "{quote}"',
        "{mediator} is trying to settle the dispute",
        "negotiations {talks}",
        "{workers} people take part",
        "the dispute costs {loss} a day",
        "the working week has {hours} hours",
        "{director} runs the company",
        "the two sides are meeting in {hotel}",
    ),
    speakers=("leader",),
    questions={
        "leader": ("Who leads the strike?", "Who leads the union?", 'Who said "{quote}"?'),
        "director": ("Who is the director?", "Who runs the company?"),
        "mediator": ("Who is trying to settle the dispute?", "Who is the go-between?"),
        "driver": ("Which wheel turner is named?",),
        "shopkeeper": ("Which baker gives away bread?",),
        "firm": ("Which company is on strike?", "Where are people on strike?"),
        "supplier": ("Whose goods pile up?",),
        "union": ("Which union is on strike?", "Which union does {leader} lead?"),
        "city": ("In which city are people striking?", "Where did the others follow?"),
        "depot": ("Where did the strike begin?",),
        "hotel": ("Where are the two sides meeting?", "Where are the discussions?"),
        "date": ("When did the strike begin?", "On which day did the strike begin?"),
        "loss": ("How much does the strike cost a day?", "What does each day cost?"),
        "fund": ("How much is in the fund?",),
        "workers": ("How many people are on strike?", "How many people take part?"),
        "hours": ("How many hours does the working week have?", "How many hours a week are normal?"),
        "talks": ("How are the negotiations?", "What about the negotiations?"),
        "cause": ("Why are people on strike?", "What is the strike about?"),
        "quote": ("What did the leader say?", "What did {leader} say?"),
    },
    short_questions={
        "loss": ("What does it cost?",),
        "quote": ("What was said?",),
        "mediator": ("Who is to settle it?",),
    },
)
