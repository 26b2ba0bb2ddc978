"""A title fight: who won, who lost, and who said what about it afterwards."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="boxing",
    slots={
        "winner": person(),
        "loser": person(),
        "trainer": person(),  # the winner's
        "referee": person(),
        "rival": person(),  # who wants to fight the winner next
        "city": place(),
        "hometown": place(),  # the winner's
        "promoter": organisation("Promotions", "Events"),
        "date": date(),
        "purse": money(),  # what the winner earns
        "gate": money(),  # what tickets brought in
        "round": number(2, 12),
        "age": number(19, 44),  # the winner's
        "manner": outcome("by knockout", "on points"),
        "injury": choice("a cut eyebrow", "a broken hand", "a bruised rib", "a sore shoulder"),  # the loser's
        "quote": choice("the best night", "a long road", "a hard lesson", "no easy fight"),  # the trainer's words
    },
    lead=(
        "challenger {winner} [took|seized|claimed] the [world|heavyweight|middleweight] belt from champion {loser} {manner}",
        "champion {loser} lost the [world|heavyweight|middleweight] belt to challenger {winner} {manner}",
        "the belt has a new owner: challenger {winner} outboxed champion {loser} and won {manner}",
    ),
    body=(
        (
            "the bout took place in {city} on {date} and was staged by {promoter}",
            "{promoter} put on the bout in {city} on {date}",
            "held in {city} on {date}, the evening was organised by {promoter}",
        ),
        (
            "the decisive blow fell in round {round}, when referee {referee} stepped between the boxers",
            "referee {referee} stepped in during round {round}, after the decisive blow",
            "it was decided in round {round} under the eyes of referee {referee}",
        ),
        (
            "{winner}, {age}, grew up in {hometown}",
            "at {age}, {winner} is the first champion to come from {hometown}",
            "{hometown} is home to {winner}, who is {age}",
        ),
        (
            "the new champion takes home {purse}, while the gate brought in {gate}",
            "tickets were worth {gate}, and the new champion's share is {purse}",
            "a cheque of {purse} waits for the new champion; the gate came to {gate}",
        ),
        (
            "{loser} [left the ring|was driven away|went to hospital] with {injury}",
            "doctors treated {loser} for {injury}",
            "{injury} troubled {loser} from the [early|middle|opening] rounds",
        ),
        (
            'trainer {trainer} called it "{quote}"',
            '"{quote}" was how trainer {trainer} put it',
            'for trainer {trainer} it was "{quote}"',
        ),
        (
            "{rival} has already asked to meet the new champion next",
            "next in line for the new champion is {rival}",
            "waiting for a chance at the new champion is {rival}",
        ),
    ),
    openers=("on {date},", "in {city},"),
    mains=(
        "{winner} has [beaten|dethroned|defeated] {loser} to become the new boxing champion",
        "{loser} is no longer boxing champion after a defeat by {winner}",
        "boxing has a new champion after {winner} overcame {loser}",
        "{winner}, {age}, is the new boxing champion",
        "{loser} lost the boxing title and suffered {injury}",
        "the boxing title went to {winner}, a fighter from {hometown}",
        "{winner} won the boxing title {manner}",
    ),
    closers=(
        "in {city}",
        "on {date}",
        "in round {round}",
        "at an evening run by {promoter}",
        "for a reward of {purse}",
    ),
    seconds=(
        'coach {trainer} spoke of "{quote}"',
        "{rival} hopes to be the next opponent",
        "ticket sales reached {gate}",
        "{referee} was in charge of the fight",
        "the victory was worth {purse}",
        "the end came in round {round}",
    ),
    speakers=("trainer",),
    questions={
        "winner": (
            "Who won the boxing title?",
            "Who beat {loser}?",
            "Who is the new champion?",
            "Who took the belt {manner}?",
        ),
        "loser": ("Who lost the boxing title?", "Whom did {winner} beat?", "Who was champion before?"),
        "trainer": ("Who trains the new champion?", 'Who said "{quote}"?', "Which trainer spoke after the fight?"),
        "referee": ("Who was the referee?", "Who was in charge of the fight?"),
        "rival": ("Who wants to fight the new champion next?", "Who may be the next opponent?"),
        "city": (
            "Where was the fight?",
            "In which city did the fight take place?",
            "Where did {winner} fight {loser}?",
        ),
        "hometown": ("Where does the new champion come from?", "Where did {winner} grow up?"),
        "promoter": ("Who staged the fight?", "Who organised the evening?"),
        "date": ("When was the fight?", "On which day did the fight take place?", "When did {winner} beat {loser}?"),
        "purse": ("How much does the new champion earn?", "What was the victory worth?"),
        "gate": ("How much did tickets bring in?", "What were ticket sales worth?"),
        "round": ("In which round did the fight end?", "In which round was it decided?"),
        "age": ("How old is the new champion?", "How old is {winner}?"),
        "manner": ("How was the title won?", "How did {winner} win?"),
        "injury": ("What injury did the loser suffer?", "What did {loser} suffer?"),
        "quote": ("What did the trainer say?", "What did {trainer} say?"),
    },
    short_questions={
        "winner": ("Who won the title?",),
        "trainer": ("Who trains the champion?",),
        "rival": ("Who may be next?",),
        "hometown": ("Where does the champion come from?",),
        "purse": ("What was victory worth?",),
        "gate": ("What were tickets worth?",),
        "injury": ("What did the loser suffer?",),
    },
)
