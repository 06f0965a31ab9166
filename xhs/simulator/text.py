"""Texts of invented Chinese comments of varying length."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xhs.simulator.seeded_random import SeededRandom

EMOJI_CODES = (
    "[doge]", "[捂脸R]", "[笑哭R]", "[赞R]", "[偷笑R]", "[哭惹R]", "[派对R]", "[飞吻R]",
    "[害羞R]", "[暗中观察R]", "[萌萌哒R]", "[生气R]", "[弱R]", "[扶墙R]", "[汗颜R]", "[石化R]",
    "[微笑R]",
)  # fmt: skip
EMOJI = ("😂", "🌸", "💰", "👍", "🥺", "🐶", "✨", "👩‍👩‍👧", "🇨🇳", "😭", "🍵", "🫶🏻")

_SHORT = (
    "哈哈哈哈哈哈", "第一", "蹲一个", "求链接", "已收藏", "同款", "好看", "码住", "马住", "dd",
    "蹲蹲", "yyds", "绝了", "想要", "姐妹你好美", "+1", "=_=", "6", "???", "在哪里呀", "多少钱",
    "不懂就问", "笑死", "太真实了", "学到了", "谢谢分享", "路过", "沙发", "-1s", "真的假的",
    "OK", "踩雷了",
)  # fmt: skip
_SUBJECTS = (
    "这家店", "这个颜色", "我上周买的那款", "博主说的方法", "楼上的姐妹", "我们学校附近",
    "这条路线", "我妈", "官方旗舰店", "这个教程", "我家猫", "去年冬天", "第三张图", "客服",
    "这件外套", "你家窗帘", "成都的朋友", "这款防晒", "新手", "我用了半年", "同事推荐的",
    "这个价格",
)  # fmt: skip
_VERBS = (
    "真的很好用", "完全没有效果", "排队排了两个小时", "比图片上还好看", "一洗就掉色",
    "性价比特别高", "让我想起了小时候", "已经涨价了", "周末人太多了", "我觉得一般般吧",
    "不适合敏感肌", "终于补货了", "退了又买,买了又退", "和我想的不一样", "值得再去一次",
    "踩了好几次坑才找到", "千万别信", "三十块钱就能搞定", "被种草了", "跟我买到的是两个东西",
)  # fmt: skip
_TAILS = (
    "有没有人跟我一样", "求个链接,谢谢", "不知道是不是我的错觉", "大家怎么看",
    "建议先看评论区再下单", "明天就去试试", "等打折再说", "别问我怎么知道的", "希望能早点解决",
    "反正我是不会再买了", "一整个爱住", "有问题可以私信我", "蹲一个后续",
    "楼主能出个详细的教程吗", "仅代表个人观点", "PS:没有收钱", "Love it so much",
    "iPhone 15 Pro 拍的", "尺码偏小,建议买大一号",
)  # fmt: skip
_SEPARATORS = (",", "。", "……", "!", "~", " ", "  ", "\n")


def content(rng: SeededRandom) -> str:
    """Return the text of a comment: mostly short, sometimes several sentences."""
    kind = rng.below(100)
    if kind < 28:
        text = rng.pick(_SHORT)
    elif kind < 70:
        text = rng.pick(_SUBJECTS) + rng.pick(_VERBS)
    elif kind < 95:
        text = _sentence(rng)
    else:
        text = rng.pick(_SEPARATORS).join(_sentence(rng) for _ in range(3 + rng.below(6)))
    if rng.chance(330):
        text += rng.pick(EMOJI_CODES) * (1 + rng.below(3))
    if rng.chance(80):
        text += rng.pick(EMOJI)
    return text


def _sentence(rng: SeededRandom) -> str:
    separator = rng.pick(_SEPARATORS)
    return rng.pick(_SUBJECTS) + rng.pick(_VERBS) + separator + rng.pick(_TAILS)


def count_as_text(count: int) -> str:
    """Return a count as related endpoints format it: ``"17"``, ``"1.2万"``."""
    if count < 10_000:
        return str(count)
    tenths = count // 1000
    return f"{tenths // 10}.{tenths % 10}万" if tenths % 10 else f"{tenths // 10}万"
