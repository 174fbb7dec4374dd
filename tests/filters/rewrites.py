"""One short source, and a good rewrite of it in each style."""

from __future__ import annotations

from synth.generate.styles import Style

SOURCE = "Plants need light to grow. They turn it into sugar, which they store in their roots."
REWRITES = {
    Style.FAQ: """# Questions about plants and light

**Why do plants need light?**
Light drives their growth. Without it they cannot feed themselves.

**What becomes of the light?**
The plant makes sugar with its energy.

**Where does the sugar go?**
Into the roots, which keep it until it is needed.""",
    Style.TABLE: """| Question | Answer |
|---|---|
| What does a plant need? | Light |
| What does it make? | Sugar |
| Where is that kept? | The roots |

The table follows the energy from the leaf down into the soil.""",
    Style.TUTORIAL: """# How to follow light through a plant

1. Start at the leaf. Light falls on it, and growth begins here.
2. Go on to what is made: the leaf uses the light to make sugar.
3. Follow the sugar down. The roots hold it in store.

**Check yourself:** where would you look for the sugar of a carrot?""",
    Style.MATHS: """A beet makes $12$ grams of sugar a day and sends $\\frac{3}{4}$ of it to its
root. How much sugar does the root store in $5$ such days?

## Solution

In a day the root gets $\\frac{3}{4} \\cdot 12 = 9$ grams.

In five days that is $5 \\cdot 9 = 45$ grams.

\\boxed{45}""",
    Style.TEXTBOOK: """## 3.1 Light as food

A plant grows only where light reaches it. Its leaves catch that light and make **sugar** of it.
What is not used at once goes down to the roots and is stored there.

### Key terms

- **Sugar**: what a plant makes with light
- **Root**: the part that holds the store

### Review

Why does a plant in a dark room stop growing?""",
    Style.ACADEMIC: """## Carbon gain and storage

Growth in plants depends on light. The energy that leaves absorb is fixed as sugar, and the surplus
is allocated to the roots, where it is held in reserve. Storage thus separates the time at which
energy is captured from the time at which it is spent.""",
    Style.WIKI: """**Storage in plants** is the keeping of sugar in the root. It begins with light,
on which all growth of a plant depends.

## Formation

The leaf forms sugar from the light that it takes in.

## Store

The root receives the sugar and keeps it.""",
    Style.NOTES: """# Light and plants

- **Need**: light, or no growth
- **Product**: sugar, made of that light
- **Store**: the roots

*Remember*: leaves earn, roots save.""",
    Style.DIALOGUE: """**Ana:** My bean on the shelf stopped growing. Is it thirsty?

**Ben:** It may be hungry. A plant lives on light, and your shelf is dark.

**Ana:** It eats light?

**Ben:** It makes sugar with it. What it does not use waits in the roots.""",
    Style.STORY: """Mira put one pot on the sill and the other in the cupboard. After a week only
the first had grown. "It had light," said her aunt, "so it could make sugar." Mira pulled up a
radish and bit into it. "And here is where it kept some," she said, and laughed.""",
}
