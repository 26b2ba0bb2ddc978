"""A transfer: a player leaves one club for another, at a price."""

from quals_jax.gazette.kind import Kind, choice, date, money, number, organisation, outcome, person, place

KIND = Kind(
    name="transfer",
    slots={
        "player": person(),
        "coach": person(),  # of the new club
        "agent": person(),
        "substitute": person(),  # who takes the player's old place
        "captain": person(),  # of the old club
        "club": organisation("Rovers", "United"),  # the new one
        "former": organisation("Rovers", "United"),  # the old one
        "suitor": organisation("Rovers", "United"),  # a third, which gave up
        "nation": place(),  # the player's birthplace
        "ground": place(),  # where the new club plays
        "date": date(),
        "fee": money(),
        "bonus": money(),
        "goals": number(5, 64),
        "age": number(17, 39),
        "medical": outcome("passed the medical", "failed the medical"),
        "position": choice("left winger", "goal keeper", "centre forward", "right back"),
        "quote": choice("a dream come true", "a step up", "a home at last"),  # the player's words
    },
    lead=(
        "{player} says goodbye to {former} and will wear the shirt of {club}",
        "the shirt of {club} will be worn by {player}, so far of {former}",
        "after months of talks {former} let {player} go to {club}",
    ),
    body=(
        (
            "the two clubs shook hands on {date} over {fee}",
            "over {fee} the two clubs shook hands on {date}",
            "a handshake on {date} sealed it: {fee} changes hands",
        ),
        (
            "agent {agent} can count on a bonus of {bonus}",
            "a bonus of {bonus} goes to agent {agent}",
            "for agent {agent} there is a bonus of {bonus}",
        ),
        (
            "the {position} was born in {nation} {age} years ago",
            "{age} years ago the {position} was born in {nation}",
            "{nation} is the birthplace of the {position}, now {age}",
        ),
        (
            "last season brought {goals} goals, all of them cheered in the stands",
            "there were {goals} goals last season",
            "the fans [remember|sing of|count] {goals} goals from last season",
        ),
        (
            'the newcomer, {player}, called it "{quote}"',
            'to the press, {player} spoke of "{quote}"',
            '"{quote}" was what {player} said at the airport',
        ),
        (
            "trainer {coach} is waiting on the pitch in {ground}",
            "in {ground}, trainer {coach} has kept a locker free",
            "on the pitch in {ground}, trainer {coach} [smiled|nodded|waved]",
        ),
        (
            "captain {captain} stays behind, and young {substitute} moves up into the team",
            "young {substitute} moves up into the team of captain {captain}",
            "the team of captain {captain} makes room for young {substitute}",
        ),
        (
            "{suitor} had wanted the same player but gave up",
            "an offer from {suitor} came to nothing",
            "earlier, {suitor} had given up the hunt",
        ),
        (
            "club doctors say the new man {medical}",
            "according to club doctors the new man {medical}",
            "word from the club doctors is that the new man {medical}",
        ),
    ),
    openers=("on {date},", "for {fee},"),
    mains=(
        "{club} have signed football player {player} from {former}",
        "football player {player} joins {club} to work with {coach}",
        "footballer {player}, {age}, leaves {former}",
        "{former} have sold their {position} {player}",
        "footballer {player} {medical} before a move to {club}",
        "{club} strengthen their football squad with {position} {player}",
        "football club {former} will replace {player} with {substitute}",
    ),
    closers=("for {fee}", "on {date}", "after a season with {goals} goals"),
    seconds=(
        'new signing {player} talked about "{quote}"',
        "the transfer costs {fee}",
        "{coach} is the new manager",
        "the deal was arranged by {agent}",
        "the next matches will be played in {ground}",
        "{substitute} fills the gap",
        "the player {medical}",
        "the striker scored {goals} times",
    ),
    speakers=("player",),
    questions={
        "player": (
            "Which player changes clubs?",
            "Whom did {club} sign?",
            'Who said "{quote}"?',
            "Who leaves {former}?",
        ),
        "coach": ("Who is the new manager?", "Which trainer is waiting?"),
        "agent": ("Who is the agent?", "Who arranged the deal?"),
        "substitute": ("Who fills the gap?", "Who moves up into the team?", "Who replaces {player}?"),
        "captain": ("Which captain stays behind?",),
        "club": ("Which club does the player join?", "Which club signed {player}?"),
        "former": ("Which club did the player leave?", "Which club sold {player}?"),
        "suitor": ("Which club gave up?",),
        "nation": ("Where was the player born?",),
        "ground": ("Where will the next matches be played?", "Where does the new club play?"),
        "date": ("When was the transfer agreed?", "On which day was the transfer?"),
        "fee": ("How much does the transfer cost?", "What does {player} cost?"),
        "bonus": ("How much does the agent get?",),
        "goals": ("How many goals did the player score?", "How many goals were there?"),
        "age": ("How old is the player?", "How old is {player}?"),
        "medical": ("What about the medical?", "What did the player do?"),
        "position": ("What position does the player have?", "What is {player}?"),
        "quote": ("What did the player say?", "What did {player} say?"),
    },
    short_questions={
        "club": ("Which club is next?",),
        "former": ("Which club was left?",),
        "fee": ("What is the price?",),
        "position": ("What is the player?",),
    },
)
