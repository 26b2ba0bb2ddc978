"""A mayoral election: who won, who lost, by how much, and what the winner promises."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="election",
    slots={
        "mayor": person(),  # the winner
        "opponent": person(),  # the loser
        "deputy": person(),  # whom the winner wants as deputy
        "clerk": person(),  # who announced the count
        "critic": person(),  # who disputes the count
        "city": place(),
        "birthplace": place(),  # the winner's
        "party": organisation("Party", "League"),  # the winner's
        "rivals": organisation("Party", "League"),  # the loser's
        "date": date(),
        "share": number(31, 79),  # percent of the votes for the winner
        "age": number(27, 78),  # the winner's
        "debt": money(),
        "budget": money(),  # of the promise
        "margin": outcome("by a landslide", "by a whisker"),
        "promise": choice("a new tram", "cheaper homes", "cleaner streets", "safer parks"),
        "quote": choice("a fresh start", "a clear mandate", "a proud day", "one more chance"),  # the winner's words
    },
    lead=(
        "{mayor} of the {party} will govern {city} after beating {opponent} of the {rivals} {margin}",
        "voters in {city} chose {mayor} of the {party} over {opponent} of the {rivals} {margin}",
        "the town hall of {city} goes to {mayor} of the {party}, who won {margin} against {opponent} of the {rivals}",
    ),
    body=(
        (
            "{share} percent of the ballots cast on {date} bore the name of {mayor}",
            "on {date}, {share} percent of those who voted picked {mayor}",
            "{mayor} collected {share} percent of the ballots on {date}",
        ),
        (
            "election clerk {clerk} read out the figures [late at night|before midnight|to a full hall]",
            "the figures were made public by election clerk {clerk}",
            "it fell to election clerk {clerk} to read out the figures",
        ),
        (
            "{mayor}, {age}, was raised in {birthplace}",
            "born in {birthplace}, {mayor} is {age}",
            "now {age}, {mayor} spent a childhood in {birthplace}",
        ),
        (
            "the campaign promised {promise} for {budget}, although the town owes {debt}",
            "although the town owes {debt}, the campaign offered {promise} for {budget}",
            "{budget} was set aside in the campaign for {promise}; what the town owes is {debt}",
        ),
        (
            "councillor {deputy} is [expected|meant|due] to serve as deputy",
            "the post of deputy is meant for councillor {deputy}",
            "as deputy, councillor {deputy} is to be sworn in",
        ),
        (
            "former mayor {critic} wants the ballots counted again",
            "a second count is demanded by former mayor {critic}",
            "former mayor {critic} [doubts|questions] the count",
        ),
        (
            'in a short speech {mayor} called it "{quote}"',
            '"{quote}", said {mayor} [on the steps|from the balcony|to loud cheers]',
            'for {mayor} the evening was "{quote}"',
        ),
    ),
    openers=("on {date},", "in {city},"),
    mains=(
        "{mayor} has been elected mayor ahead of {opponent}",
        "the race for mayor ended in victory for {mayor} and defeat for {opponent}",
        "{opponent} failed to become mayor and lost to {mayor} {margin}",
        "the {party} candidate {mayor} is the next mayor",
        "the next mayor, {mayor}, is {age} years old and belongs to the {party}",
        "{mayor} became mayor with {share} percent of the vote",
        "{mayor} was elected mayor {margin}",
    ),
    closers=("in {city}", "on {date}", "after a campaign for {promise}"),
    seconds=(
        'winner {mayor} spoke of "{quote}"',
        "{clerk} announced the result",
        "{deputy} will be second in command",
        "the plan for {promise} will cost {budget}",
        "the project is priced at {budget}",
        "{opponent} stood for the {rivals}",
        "{share} percent of the electorate backed the winner",
    ),
    speakers=("mayor",),
    questions={
        "mayor": ("Who was elected mayor?", "Who won the election?", "Who beat {opponent}?", 'Who said "{quote}"?'),
        "opponent": ("Who lost the election?", "Whom did {mayor} beat?", "Who failed to become mayor?"),
        "deputy": ("Who will be the deputy?", "Who is to be second in command?"),
        "clerk": ("Who announced the result?", "Which clerk read out the figures?"),
        "critic": ("Who wants a second count?", "Which former mayor doubts the count?"),
        "city": ("Where was the election?", "Which city will {mayor} govern?", "In which city did people vote?"),
        "birthplace": ("Where was {mayor} born?", "Where does the new mayor come from?"),
        "party": ("Which party won the election?", "To which party does {mayor} belong?"),
        "rivals": ("Which party lost the election?", "For which party did {opponent} stand?"),
        "date": ("When was the election?", "On which day did people vote?"),
        "share": ("What percent of the vote went to the winner?", "What percent did {mayor} get?"),
        "age": ("How old is the new mayor?", "How old is {mayor}?"),
        "debt": ("How much does the town owe?",),
        "budget": ("What will the campaign promise cost?", "How much is the plan for {promise}?"),
        "margin": ("How was the election won?", "How did {mayor} win?"),
        "promise": ("What did the campaign promise?", "What does the new mayor promise?"),
        "quote": ("What did the winner say?", "What did {mayor} call the evening?"),
    },
    short_questions={
        "deputy": ("Who is the deputy?",),
        "party": ("Which party won?",),
        "rivals": ("Which party lost?",),
        "share": ("What percent was it?",),
        "budget": ("What will it cost?",),
    },
)
