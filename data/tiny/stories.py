"""Short stories from a grammar: `story(rng)` returns one.

A plot is a list of beats told in order, a beat a tuple of sentences of which one is told; a beat that starts with MAYBE can be
left out. Sentences have slots; `cast` fills them once a story, so names, pronouns, things and places stay the same to its end.
"""

from words import (ANIMALS, BAKES, BOYS, BUILDS, COLORS, DAYS, FOODS, GIRLS, HELPERS, MOODS, NUMBER_WORDS, PLACES, PRONOUNS,
                   SIZES, SKILLS, THINGS, TRAITS, WEATHERS)

MAYBE = "MAYBE"
LONG_SHARE = 0.3  # of the stories have two episodes
PEOPLE_SLOTS = "kind hero he him his He His friend fhe fhim fhis elder trait mood".split()  # the same in both episodes

OPENINGS = [
    ("Once upon a time there was a {kind} named {hero}.", "One {day} {hero} woke up early.", "{hero} was a {trait} {kind}.",
     "There was once a {trait} {kind} called {hero}.", "{hero} lived in a house near {place}."),
    (MAYBE, "{He} lived with {his} {elder}.", "{He} had a {acolor} {animal} called {pet}.", "Everybody in the village liked {him}."),
    ("{His} best friend was called {friend}.", "{He} had a friend named {friend}.", "{friend} lived next door and was {his} friend."),
]

ENDINGS = [
    (MAYBE, "\"Thank you, {friend},\" said {hero}.", "\"What a day!\" said {friend}.", "{friend} laughed, and {hero} laughed too.",
     "{hero} gave {friend} a big hug."),
    ("In the evening {hero} told {his} {elder} the whole story.", "From that day on {hero} and {friend} were the best of friends.",
     "{hero} was very {mood}.", "{hero} and {friend} walked home together.", "That night {hero} slept very well.",
     "{hero} never forgot that day."),
]

PLOTS = {
    "lost": [
        ("{He} had a {thing} that {he} loved very much.", "{His} {elder} had given {him} a {thing}.", "{He} had a {thing}."),
        (MAYBE, "{He} took it everywhere.", "It was the best {noun} in the village.", "{He} played with it every day."),
        ("One day {hero} took the {thing} to {place}.", "On {day2} {he} went to {place} with the {thing}."),
        (MAYBE, "It was warm, and {hero} fell asleep in the sun.", "{He} met {friend} there, and they played until noon.",
         "There was so much to see that {he} forgot the time."),
        ("But when {he} wanted to go home, the {noun} was gone.", "Then {he} saw that the {noun} was not there."),
        ("{hero} was sad and began to cry.", "\"Oh no! Where is my {noun}?\" cried {hero}.", "\"I have lost my {thing},\" said {hero}."),
        ("{friend} heard {him} and came to help.", "\"Do not cry,\" said {friend}. \"I will help you.\"", "So {he} asked {friend} for help."),
        ("First they looked {spot1}, but there was nothing.", "They looked {spot1}, but the {noun} was not there."),
        (MAYBE, "There they found only a {acolor} {animal}.", "\"It is not here,\" said {friend}.", "They found only an old shoe."),
        ("Then they looked {spot2}.", "Next {friend} looked {spot2}."),
        ("And there it was, the {thing}!", "\"Here it is!\" shouted {friend}, and held up the {thing}.", "There lay the {thing}, safe and dry."),
        (MAYBE, "{hero} jumped for joy.", "{hero} took the {noun} and held it tight.", "\"You found my {noun}!\" said {hero}."),
        (MAYBE, "{He} let {friend} play with it all day.", "From then on {he} took good care of the {noun}."),
    ],
    "buy": [
        ("{hero} wanted a {thing}.", "{hero} wished for a {thing} more than for anything else."),
        ("There was one at the market, and it cost {n} coins.", "The {helper} sold one for {n} coins."),
        ("But {hero} had only {m} coins.", "{hero} counted {his} money. It was only {m} coins."),
        (MAYBE, "\"That is not enough,\" said the {helper}.", "\"I need {k} more,\" thought {hero}.", "{He} was sad, but {he} did not give up."),
        ("\"Can I work for you?\" {he} asked the {helper}.", "So {he} looked for work, and the {helper} needed help."),
        ("{hero} carried {foods} for the {helper} all day.", "{He} washed the floor and picked {foods}.",
         "{He} filled {k} baskets with {foods} for the {helper}."),
        (MAYBE, "It was hard work, but {hero} did not stop.", "{friend} came by and helped {him}.", "In the evening {his} arms were tired."),
        ("The {helper} gave {him} {k} coins.", "\"Well done,\" said the {helper}, and gave {him} {k} coins."),
        ("Now {he} had {n} coins.", "Now {hero} had enough."),
        ("{He} ran to the market and bought the {thing}.", "{He} paid the {n} coins and took the {thing} home."),
        ("But {he} did not keep it. It was a gift for {friend}.", "{hero} showed the {noun} to {friend}.",
         "\"This is for you,\" {he} said to {friend}."),
        ("{friend} was so {mood} that {fhe} danced.", "\"What a fine {noun}!\" said {friend}.", "{friend} thanked {him} again and again."),
    ],
    "weather": [
        ("{hero} and {friend} went to {place}.", "On {day2} {hero} and {friend} walked to {place}."),
        (MAYBE, "They took a basket with {foods}.", "{hero} took {his} {thing} along.", "The sky was blue and the sun was warm."),
        ("{at} they played and sang.", "{at} they sat down to eat {foods}.", "They had a good time {at_low}."),
        ("But then dark clouds came, and the {weather} began.", "Suddenly there was {weather}.", "After an hour the {weather} came."),
        ("\"I am {feel},\" said {friend}.", "\"We must find a roof,\" said {hero}.", "{friend} was {feel} and afraid."),
        ("They ran and hid {spot1}.", "They found a dry corner {spot1}."),
        (MAYBE, "A {acolor} {animal} was hiding there too.", "{hero} held the hand of {friend}.", "{hero} gave {friend} {his} coat."),
        (MAYBE, "\"Do you know a song?\" asked {hero}, and {friend} began to sing.", "{hero} told a story about a {animal2}.",
         "They counted to one hundred, and then they did it again."),
        ("At last the {weather} stopped.", "After a long time the {weather} was over."),
        ("A rainbow stood over {place}.", "The sun came out again, and everything was bright.", "\"Look!\" said {friend}. \"The sun is back.\""),
        (MAYBE, "They ate the last of the {foods}.", "The {animal} ran away into the grass."),
    ],
    "bake": [
        ("It was the birthday of {his} {elder}, and {hero} wanted to make {bake}.", "{hero} wanted to make {bake} for {friend}."),
        ("But there was no {need} in the kitchen.", "{He} looked for the {need}, but there was none left."),
        (MAYBE, "\"What shall I do?\" {he} thought.", "{He} looked in the cupboard and under the table.", "\"Without {need} it will not be good,\" said {hero}."),
        ("{hero} went to the {helper} and asked for {need}.", "\"Ask the {helper},\" said {friend}, and {hero} went there."),
        ("\"I will give you {need} if you help me,\" said the {helper}.", "\"I have {need},\" said the {helper}, \"but first you must help me.\""),
        ("So {hero} brought water from the well.", "So {hero} swept the yard.", "So {hero} picked {foods} for the {helper}."),
        ("Then the {helper} gave {him} the {need}.", "\"Here is your {need},\" said the {helper}."),
        (MAYBE, "{hero} ran home as fast as {he} could.", "On the way home {he} met {friend}, who wanted to help."),
        ("Together with {friend} {he} made the best {bakenoun} of the year.", "{hero} worked until noon, and then the {bakenoun} was ready."),
        (MAYBE, "It smelled so good that a {acolor} {animal} came to the window.", "The whole house smelled of {bakenoun}."),
        ("Everybody got a piece, and the {helper} got one too.", "They shared it with the {helper}.", "{friend} ate {m_plus} plates of it."),
    ],
    "animal": [
        ("One day {hero} walked through {place}.", "On {day2} {hero} was playing {at_low}."),
        ("There {he} heard a sound {spot1}.", "Then {he} saw something {spot1}."),
        ("It was a {size} {acolor} {animal}.", "A {size} {acolor} {animal} lay there."),
        ("The {animal} was hungry and could not walk.", "The {animal} had hurt its leg.", "The {animal} was alone and cold."),
        (MAYBE, "\"Poor {animal},\" said {hero}.", "\"Do not be afraid,\" {he} said.", "{hero} spoke to it softly."),
        ("{He} carried the {animal} home in {his} {thing}.", "{He} put {his} coat around the {animal} and took it home."),
        ("At home {he} gave it {foods} and water.", "{His} {elder} made a bed of straw for the {animal}."),
        (MAYBE, "{friend} came every day to see the {animal}.", "{hero} and {friend} called it {pet}.", "At night it slept beside {his} bed."),
        ("After {n} days the {animal} was well again.", "On {day3} the {animal} could walk again."),
        ("\"It wants to go home,\" said {friend}.", "{hero} knew that it had to go home."),
        ("So {hero} took the {animal} back to {place}.", "They went to {place}, and there they let it go."),
        ("The {animal} looked back once and then it ran away.", "The {animal} ran off, and {hero} was a little sad."),
        (MAYBE, "But the next spring it came back with {k} little ones.", "But every {day} it came to the door and got some {foods}."),
    ],
    "race": [
        ("There was to be a race {at_low} on {day2}.", "Every year there was a big race {at_low}."),
        ("{hero} wanted to win the {thing}.", "The first prize was a {thing}."),
        (MAYBE, "\"You are too slow,\" said {friend}.", "\"I will never win,\" thought {hero}.", "{friend} wanted to win it too."),
        ("So {he} ran every morning before school.", "Every day {hero} ran from {place} to the mill and back."),
        (MAYBE, "{His} {elder} gave {him} good shoes.", "The {helper} showed {him} how to breathe.", "Soon {he} was faster than the {animal}."),
        ("Then the day of the race came.", "On {day2} {n} children stood at the start."),
        ("\"One, two, three, go!\" called the {helper}.", "The {helper} rang a bell, and they all ran."),
        ("{hero} ran fast, but {friend} was faster.", "At first {friend} was in front, and {hero} was behind {fhim}."),
        ("Then {friend} fell over a stone.", "Then a {acolor} {animal} ran across the road, and {friend} fell."),
        ("{hero} stopped and helped {friend} up.", "{hero} did not run on. {He} went back and helped {friend}."),
        (MAYBE, "\"Why did you stop?\" asked {friend}.", "\"Are you hurt?\" {he} asked.", "\"A friend is more than a prize,\" said {hero}."),
        ("They crossed the line together, hand in hand.", "So they both came in last, and they laughed."),
        ("The {helper} gave the {noun} to both of them.", "They did not win the {thing}, but they did not mind."),
    ],
    "quarrel": [
        ("{hero} and {friend} found a {thing} {at_low}.", "One day there was a {thing} {spot1}, and {hero} and {friend} both saw it."),
        ("\"It is mine,\" said {hero}. \"No, it is mine,\" said {friend}.", "{hero} wanted it, and {friend} wanted it too."),
        ("They pulled and pulled until the {noun} broke.", "They shouted so loud that the {animal} ran away."),
        ("{friend} went home without a word.", "\"I will never speak to you again,\" said {friend}."),
        (MAYBE, "{hero} sat alone {at_low}.", "The next day {hero} played alone, and it was no fun.", "{hero} could not sleep that night."),
        ("{His} {elder} asked, \"Why are you so sad?\"", "\"What is wrong?\" asked {his} {elder}."),
        ("\"{friend} and I had a quarrel about a {noun},\" said {hero}.", "{hero} told {his} {elder} about the {noun}."),
        ("\"Which is better, a {noun} or a friend?\" asked {his} {elder}.", "\"Go and say that you are sorry,\" said {his} {elder}."),
        ("So {hero} went to the house of {friend}.", "{hero} took some {foods} and went to {friend}."),
        ("\"I am sorry,\" said {hero}. \"I am sorry too,\" said {friend}.", "\"I am sorry about the {noun},\" said {hero}."),
        (MAYBE, "They mended the {noun} with string.", "The {helper} mended the {noun} for them."),
        ("Now it belongs to both of them.", "One day {hero} has the {noun}, and the next day {friend} has it."),
    ],
    "build": [
        ("{hero} wanted to build a {build}.", "One day {hero} said, \"I will build a {build}.\""),
        ("{He} took wood and nails and went to {place}.", "{He} worked {at_low} for {n} days."),
        (MAYBE, "{friend} looked at it and shook {fhis} head.", "{friend} brought {foods} and watched.", "It was hot, and the work was hard."),
        ("At last the {build} was ready.", "On {day2} it was done."),
        ("But it had a {fault}.", "But then {hero} found a {fault} in it."),
        (MAYBE, "\"All my work was for nothing,\" said {hero}.", "\"It will never work,\" said {friend}.", "{hero} wanted to give up."),
        ("\"You need {fix},\" said the {helper}.", "The {helper} looked at the {fault} and said, \"Take some {fix}.\""),
        (MAYBE, "\"Where can I find {fix}?\" asked {hero}. \"{at},\" said the {helper}.", "The {helper} had some and gave it to {him}."),
        ("{hero} and {friend} mended the {fault} with {fix}.", "With the {fix} {hero} mended it, and {friend} helped."),
        ("This time the {build} {works}.", "They tried again, and now the {build} {works}."),
        (MAYBE, "They painted it {color}.", "They called it the {color} {animal}.", "A {acolor} {animal} came to look at it."),
        ("\"We did it!\" shouted {friend}.", "{hero} was proud of the {build}.", "Everybody came to see the {build}."),
    ],
    "learn": [
        ("{hero} could not {skill}, but {he} wanted to learn it.", "All the other children could {skill}, but {hero} could not."),
        ("\"Can you teach me?\" {he} asked the {helper}.", "The {helper} said, \"I will teach you to {skill}.\""),
        ("On {day} {hero} tried for the first time. {hard}, and it did not go well.", "The first day was bad. {hard}."),
        (MAYBE, "{friend} laughed at {him}.", "\"I cannot do it,\" said {hero}.", "{He} went home with wet eyes."),
        ("\"Try again,\" said the {helper}.", "\"Nobody learns it in one day,\" said the {helper}."),
        ("So {he} tried again on {day2}, and it was a little better.", "{He} tried again and again for {n} days."),
        (MAYBE, "In the evening {he} told {his} {elder} about it.", "{He} even dreamed about it.", "{friend} came to {place} to help {him}."),
        ("On {day3} everything was different.", "Then, on {day3}, it happened."),
        ("{hero} {did}, and {he} was not afraid.", "{hero} {did}, and the {helper} clapped."),
        ("\"Now I can {skill}!\" {he} shouted.", "\"You see?\" said the {helper}. \"Now you can {skill}.\""),
        ("The next week {hero} taught {friend} to {skill}.", "{friend} was surprised. \"Can you teach me too?\" {fhe} asked."),
    ],
    "noise": [
        ("One night {hero} heard a strange noise.", "In the middle of the night a noise woke {hero}."),
        ("It came from outside, from {place}.", "It came from the roof.", "It came from the cellar."),
        (MAYBE, "\"Is it a ghost?\" {he} thought.", "{His} heart beat fast.", "{He} pulled the blanket over {his} head."),
        ("{hero} took a lamp and woke {friend}, who was staying with {him}.", "{He} lit a candle and called {friend}."),
        ("\"I am not afraid,\" said {friend}, but {fhis} voice was very small.", "\"Let us go and see,\" said {hero}."),
        ("Slowly they went down the stairs.", "They opened the door. It was dark and cold."),
        (MAYBE, "There was the noise again!", "Something {color} moved in the dark.", "\"Who is there?\" called {hero}. Nobody answered."),
        ("Then {hero} held up the light.", "Then the moon came out from behind a cloud."),
        ("It was only a {size} {animal} with a {thing}.", "There sat a {acolor} {animal}, and it was eating {foods}."),
        ("They laughed until they had to sit down.", "\"It is only a {animal}!\" said {friend}.", "\"So you are our ghost,\" said {hero} to the {animal}."),
        (MAYBE, "{hero} gave it some {foods}.", "The {animal} looked at them and was gone."),
        ("Then they went back to bed.", "After that {hero} was never afraid of the dark again."),
    ],
    "parcel": [
        ("{His} {elder} gave {hero} a {thing} and said, \"Take this to the {helper}.\"", "{hero} had to bring a {thing} to the {helper}."),
        ("The {helper} lived far away, behind {place}.", "The way to the {helper} was long and went past {place}."),
        ("{hero} put the {noun} into {his} bag and went.", "{He} packed some {foods} and the {noun} and left early."),
        ("On the way {he} met a {animal} that was hungry.", "{At_spot1} sat a {animal}. \"I am hungry,\" it said."),
        ("{hero} gave it some {foods}.", "\"Take this,\" said {hero}, and gave it {foods}."),
        (MAYBE, "\"I will not forget that,\" said the {animal}.", "The {animal} thanked {him} and ran off."),
        ("Then {he} came to a river, and there was no bridge.", "Soon {hero} did not know the way any more."),
        ("{He} sat down and did not know what to do.", "\"What shall I do now?\" said {hero}."),
        ("Then the {animal} came back. \"Follow me,\" it said.", "There was the {animal} again. \"I will show you the way,\" it said."),
        (MAYBE, "They went {spot2} and then up the hill.", "It knew a path that nobody else knew."),
        ("In the evening {hero} gave the {thing} to the {helper}.", "So {hero} came to the house of the {helper} with the {thing}."),
        ("\"Thank you,\" said the {helper}. \"I have waited for this {noun} for {n} years.\"",
         "The {helper} was {mood} and gave {him} {n} coins.", "The {helper} gave {him} warm soup and a bed."),
        (MAYBE, "{hero} shared the last {foods} with the {animal}.", "\"You are a brave {kind},\" said the {helper}."),
        ("The next day {he} told {friend} about the {animal} that could speak, but {friend} did not believe it.",
         "The next day {he} showed {friend} the {animal} that could speak."),
    ],
    "box": [
        ("{spot1_cap} {hero} found a {color} box.", "One day {hero} dug a hole {at_low} and found a {color} box."),
        ("It was locked, and there was no key.", "{He} wanted to open it, but it was locked."),
        ("{hero} showed the {color} box to {friend}.", "\"Look what I have found,\" {he} said to {friend}."),
        ("\"What is in it?\" asked {friend}.", "\"Maybe it is full of gold,\" said {friend}.", "{friend} shook it. \"There is something in it,\" {fhe} said."),
        ("They asked the {helper}, who had many keys.", "\"Let us go to the {helper},\" said {hero}."),
        (MAYBE, "They tried {n} keys, and none was right.", "\"That box is very old,\" said the {helper}."),
        ("\"Look {spot2},\" said the {helper}. \"I once saw a key there.\"", "The {helper} said that there was an old key {spot2}."),
        ("They went there, and {friend} found the key.", "{hero} looked {spot2} and there it was, a tiny key."),
        (MAYBE, "\"Now we will see,\" said {hero}.", "The key was cold and heavy.", "{hero} was so excited that {his} hands shook."),
        ("The key turned, and the box opened.", "With a click the {color} box was open."),
        ("In it there was a {thing2} and a letter.", "In it lay a {thing2}."),
        ("{hero} gave the {noun2} to {friend} and kept the box.", "\"The {noun2} is for you,\" said {hero}, \"and the box is for me.\"",
         "They put the {noun2} in the window, where everybody could see it."),
    ],
}


LATER = [("A few days later something else happened.", "But that was not all.", "The next week there was another story to tell.")]


def story(rng):
    """One story as a single paragraph of text, from about 80 to about 450 tokens: one or two episodes of the same people."""
    plots = rng.sample(list(PLOTS.values()), 2)
    detail = rng.random()  # how many of the optional beats are told
    slots = cast(rng)
    sentences = [*tell(rng, OPENINGS + plots[0], slots, detail)]
    if rng.random() < LONG_SHARE:
        slots = {**cast(rng), **{key: slots[key] for key in PEOPLE_SLOTS}}
        sentences += tell(rng, LATER + plots[1], slots, detail)
    return " ".join([*sentences, *tell(rng, ENDINGS, slots, detail)])


def tell(rng, beats, slots, detail):
    """Yields one filled sentence for each beat; optional beats with probability `detail`."""
    for beat in beats:
        optional = beat[0] == MAYBE
        if optional and rng.random() >= detail:
            continue
        yield rng.choice(beat[1:] if optional else beat).format_map(slots)


def cast(rng):
    """The slots of one story: who takes part, what it is about, where and when it happens."""
    slots = {**people(rng), **things(rng), **scene(rng), **numbers(rng)}
    day, day2, day3 = rng.sample(DAYS, 3)
    return {**slots, "day": day, "day2": day2, "day3": day3, "mood": rng.choice(MOODS)}


def people(rng):
    """Hero and friend with their pronouns, and the others around them."""
    kind, other = rng.choice(list(PRONOUNS)), rng.choice(list(PRONOUNS))
    hero, friend = rng.choice(names(kind)), rng.choice(names(other))
    while friend == hero:
        friend = rng.choice(names(other))
    he, him, his = PRONOUNS[kind]
    fhe, fhim, fhis = PRONOUNS[other]
    return {"kind": kind, "hero": hero, "he": he, "him": him, "his": his, "He": he.capitalize(), "His": his.capitalize(),
            "friend": friend, "fhe": fhe, "fhim": fhim, "fhis": fhis, "helper": rng.choice(HELPERS),
            "elder": rng.choice(["mother", "father", "grandmother", "grandfather", "aunt", "uncle"]),
            "trait": rng.choice(TRAITS)}


def names(kind):
    """The names of girls or of boys."""
    return GIRLS if kind == "girl" else BOYS


def things(rng):
    """The things, animals, food and plans of one story."""
    noun, noun2 = rng.sample(THINGS, 2)
    color, color2, acolor = rng.sample(COLORS, 3)
    animal, animal2 = rng.sample(ANIMALS, 2)
    bake, build, skill = rng.choice(list(BAKES)), rng.choice(list(BUILDS)), rng.choice(list(SKILLS))
    works, fault, fix = BUILDS[build]
    did, hard = SKILLS[skill]
    counted = bake in ("bread", "soup", "pudding", "pancakes")
    return {"noun": noun, "thing": f"{color} {noun}", "noun2": noun2, "thing2": f"{color2} {noun2}", "color": color,
            "acolor": acolor, "animal": animal, "animal2": animal2, "foods": rng.choice(FOODS),
            "pet": rng.choice(["Snowy", "Spot", "Lucky", "Pepper", "Button", "Shadow"]), "size": rng.choice(SIZES),
            "bake": bake if counted else f"a {bake}", "bakenoun": bake, "need": BAKES[bake],
            "build": build, "works": works, "fault": fault, "fix": fix, "skill": skill, "did": did, "hard": hard}


def scene(rng):
    """The place with two of its corners, and the weather."""
    place = rng.choice(list(PLACES))
    at, corners = PLACES[place]
    spot1, spot2 = rng.sample(corners, 2)
    weather = rng.choice(list(WEATHERS))
    return {"place": place, "at": at.capitalize(), "at_low": at, "spot1": spot1, "spot2": spot2,
            "spot1_cap": spot1.capitalize(), "At_spot1": spot1.capitalize(), "weather": weather, "feel": WEATHERS[weather]}


def numbers(rng):
    """Three numbers as words with n = m + k, for prices and days."""
    m, k = rng.randint(2, 5), rng.randint(2, 5)
    return {"n": NUMBER_WORDS[m + k], "m": NUMBER_WORDS[m], "k": NUMBER_WORDS[k], "m_plus": NUMBER_WORDS[m]}
