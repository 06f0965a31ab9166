"""The page's own words, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from xhs.feeds.readable import BEIJING
from xhs.reasons import StopReason


class Labels:
    """Texts of the page in one language. A short text is named by its English form."""

    def __init__(self, language: str) -> None:
        self._is_chinese = language == "zh"
        self.html_lang = "zh-CN" if self._is_chinese else "en"

    def __call__(self, english: str, **values: object) -> str:
        """Return a text with its values."""
        return (CHINESE[english] if self._is_chinese else english).format(**values)

    def long(self, name: str, **values: object) -> str:
        """Return one of the longer texts with its values."""
        return LONG[name][self._is_chinese].format(**values)

    def counted(self, count: int, noun: str) -> str:
        """Return a number of things, such as ``1 comment`` or ``1,200 comments``."""
        several, chinese = NOUNS[noun]
        if self._is_chinese:
            return f"{count:,} {chinese}"
        return f"{count:,} {noun if count == 1 else several}"

    def reason(self, reason: StopReason) -> str:
        """Return how a note ended."""
        english, chinese = REASONS[reason]
        return chinese if self._is_chinese else english

    def listed(self, words: Iterable[str]) -> str:
        """Return words one after the other."""
        return "、".join(words)

    def number(self, count: int | None) -> str:
        """Return a number; a dash if it is not known."""
        return "–" if count is None else f"{count:,}"

    def share(self, share: float) -> str:
        """Return a share of one as per cent."""
        return f"{100 * share:.1f}%"

    def ratio(self, part: int, whole: int) -> str:
        """Return a part of a whole as per cent; a dash if there is no whole."""
        return self.share(part / whole) if whole else "–"

    def time(self, at: datetime | None) -> str:
        """Return a time in Beijing to the minute; a dash if it is not known."""
        return f"{at.astimezone(BEIJING):%Y-%m-%d %H:%M}" if at else "–"

    def day(self, at: datetime | None) -> str:
        """Return a day in Beijing; a dash if it is not known."""
        return f"{at.astimezone(BEIJING):%Y-%m-%d}" if at else "–"


NOUNS = {
    "comment": ("comments", "条评论"),
    "reply": ("replies", "条回复"),
    "note": ("notes", "篇笔记"),
    "place": ("places", "个地点"),
    "text": ("texts", "种文字"),
}
"""Things that are counted: the plural, and the Chinese measure word and noun."""

REASONS = {
    StopReason.COMPLETE: ("complete", "已全部读完"),
    StopReason.MAX_COMMENTS: ("limited by max_comments", "已达 max_comments 上限"),
    StopReason.SINCE: ("limited by since", "已读到 since 所给的日期"),
    StopReason.UP_TO_DATE: ("up to date", "已更新到最新"),
    StopReason.NOT_FOUND: ("not found", "笔记不存在或已隐藏"),
    StopReason.REFUSED: ("refused by the API", "被接口拒绝"),
    StopReason.CURSOR_IGNORED: ("stopped: the API repeats its first page", "中断：接口只给第一页"),
    StopReason.CURSOR_REPEATED: ("stopped: the API repeats its pages", "中断：接口重复给出同一页"),
    StopReason.CURSOR_MISSING: ("stopped: the API gave no next page", "中断：接口没有给出下一页"),
    StopReason.NO_PROGRESS: ("stopped: pages without anything new", "中断：接口不再给出新内容"),
    StopReason.UNREADABLE_ANSWER: ("stopped: answer not readable", "中断：接口的回答无法读取"),
    StopReason.ALL_REJECTED: ("stopped: no comment was valid", "中断：没有一条评论有效"),
    StopReason.RETRIES_EXHAUSTED: ("not finished: calls failed", "未完成：调用多次失败"),
    StopReason.EMPTY_ANSWER: ("not finished: empty answers", "未完成：接口的回答为空"),
    StopReason.UNKNOWN_CODE: ("not finished: unknown code", "未完成：接口返回未知代码"),
    StopReason.INTERRUPTED: ("not finished: interrupted", "未完成：采集中断"),
}
"""Ends of notes, in English and in Chinese."""

LONG = {
    "personal data": (
        "This page holds personal data: names and texts of people who did not write them for "
        "you. Show it only to those who may see it, and delete it when you need it no more.",
        "本页含有个人信息：评论者的昵称和原文，他们并不是为您而写。请只给有权查看的人看，不再"
        "需要时请删除。",
    ),
    "footer": (
        "Made by scrapy report. The page loads nothing from elsewhere and runs no script. "
        "Links to notes open xiaohongshu.com when they are clicked. A number that is a link "
        "opens the comments behind it.",
        "由 scrapy report 制作。本页不加载任何外部内容，也不运行任何脚本。点击笔记链接才会打"
        "开 xiaohongshu.com。点击带链接的数字，可查看其背后的评论。",
    ),
    "completeness": (
        "Reported and missing are first-level comments: what the API reports, minus what is "
        "held and has not vanished. Replies missing are those that the comments held report "
        "and that are not held. Calls are billed calls over the note's life.",
        "“平台所报”和“缺少”指一级评论：缺少 = 平台所报 − 已采集且未消失的评论。“缺少回复”指已"
        "采集的评论所报、但未采集到的回复。“调用”是该笔记历次采集的计费调用。",
    ),
    "busy hours": (
        "An hour stands out if a note has at least {least} comments in it, and more than the "
        "median of its {hours} hours before and {hours} after it, plus {times} times their "
        "deviation (1.48 times the median absolute deviation, but at least the square root of "
        "the median, and 1). At least {sides} hours of the note's course must lie on either "
        "side. In the chart, columns with such an hour have another colour.",
        "某一小时内，一篇笔记至少有 {least} 条评论，且超过其前后各 {hours} 小时的中位数加 "
        "{times} 倍离差（离差为绝对中位差的 1.48 倍，但不小于中位数的平方根，也不小于 1），即为"
        "异常活跃。该小时前后须各有至少 {sides} 小时处于这篇笔记的首末评论之间。图中含有这类"
        "小时的柱子颜色不同。",
    ),
    "no growth": (
        "No note has been read twice yet. Crawl again with mode=update, and the growth of "
        "each note appears here.",
        "还没有笔记被采集过两次。以 mode=update 再次采集后，这里会显示每篇笔记的增长。",
    ),
    "growth": (
        "Held are the comments in the database that have not vanished, reported is what the "
        "API said, both when a pass over the note ended. The notes that gained most come "
        "first.",
        "“已采集”是数据库中未消失的评论，“平台所报”是接口给出的数，都以每次采集结束时为准。增"
        "长最多的笔记在前。",
    ),
    "places": (
        "The place is what the app shows beside a comment: where the IP address of its author "
        "was when it was written. It is not where the author is from.",
        "地点是平台在评论旁显示的 IP 属地，即评论时网络地址所在地，不等于评论者是哪里人。",
    ),
    "words": (
        "Each figure counts the comments that contain a word or an emoji, not how often they "
        "do. Words are split by rjieba with a dictionary of the platform's words; stop words, "
        "numbers, links, mentions and single characters are left out. Emoji codes such as "
        "[doge] are units, as written.",
        "数字是含有该词或表情的评论数，同一条评论只计一次。分词用 rjieba 和平台常用词词典；停"
        "用词、数字、链接、@ 和单字不计。[doge] 这类表情代码原样作为一个单位。",
    ),
    "questions": (
        "A comment asks if it has a question mark after a word, ends with {endings}, or "
        "contains {words}; the author's own do not count. It is answered if the note's author "
        "wrote a reply in its thread at the same time or later. It is not known if replies "
        "of its thread are not held, or if the note's author is not known. A rule like this "
        "errs in both directions: read the comments.",
        "文字后有问号，或以{endings}结尾，或含有{words}的评论算作提问；作者自己的不算。此后笔"
        "记作者在同一楼中写过回复，即为已答。若该楼有回复未采集到，或不知道笔记作者是谁，则无"
        "法判断。这样的规则会多算也会漏算：请看原文。",
    ),
    "same text": (
        "Texts are the same if they agree without regard to case, blanks, punctuation, "
        "mentions and emoji, and have at least {least} characters then. A person counts once. "
        "The same text says nothing about why: people quote, copy a joke, or answer a call "
        "to do so.",
        "不计大小写、空白、标点、@ 和表情后相同，且不少于 {least} 个字符，即为相同文字。每人"
        "只计一次。相同并不说明原因：可能是引用、玩梗，或响应号召。",
    ),
    "groups": (
        "Shares are of a group's comments with a text, those of places of its comments with a "
        "place. Words are ordered by Dunning's log-likelihood; shown are those of {bound} or "
        "more (one in a hundred by chance, for each word) that at least {least} comments of "
        "both groups contain.",
        "占比以各组有文字的评论为准，地点的占比以显示属地的评论为准。词按 Dunning 对数似然值"
        "排序，列出不低于 {bound}（对每个词而言，偶然出现的可能约百分之一）、且两组合计至少 "
        "{least} 条评论含有的词。",
    ),
}
"""Longer texts by their names, in English and in Chinese."""

CHINESE = {
    # Page
    "Comments on {notes}": "{notes}的评论",
    "Written from {first} to {last}. Made on {made}. All times are Beijing time.": (
        "评论时间：{first} 至 {last}。本页制作于 {made}。时间均为北京时间。"
    ),
    "No comment has a time. Made on {made}, Beijing time.": (
        "评论都没有时间。本页制作于北京时间 {made}。"
    ),
    "Sections": "章节",
    "Data": "数据",
    "Time": "时间",
    "Growth": "增长",
    "Places": "地点",
    "Most liked": "最多赞",
    "Words": "用词",
    "Questions": "提问",
    "Same text": "相同文字",
    "Two groups": "两组对比",
    "Close": "关闭",
    "All of them:": "全部如下：",
    "The {n:,} most liked of them:": "其中获赞最多的 {n:,} 条：",
    "Rule: ": "规则：",
    "Table": "表格",
    "None.": "无。",
    "{n:,} of {total:,} are shown.": "共 {total:,} 项，此处列出 {n:,} 项。",
    # Headline
    "comments": "条评论",
    "{first:,} first level, {replies}": "一级评论 {first:,} 条，{replies}",
    "people": "人",
    "wrote them": "参与评论",
    "held": "已采集",
    "of {n:,} first-level comments reported": "占平台所报 {n:,} 条一级评论",
    "notes": "篇笔记",
    "{n:,} read to the end": "其中 {n:,} 篇已读完",
    "questions": "个提问",
    "{n:,} not answered by the author": "作者未答 {n:,} 个",
    "billed calls": "次计费调用",
    "cost {money}": "费用 {money}",
    "all crawls together": "历次采集合计",
    # Data
    "What the data is": "数据说明",
    "Crawled from {first} to {last}.": "采集时间：{first} 至 {last}。",
    "Of the comments, {n:,} have vanished since: they count in every figure but those of this "
    "table.": "其中 {n:,} 条评论后来消失：除下表外，各项统计都包含它们。",
    "{n:,} comments have no time.": "{n:,} 条评论没有时间。",
    "{n:,} comments have no author.": "{n:,} 条评论没有作者。",
    "Note": "笔记",
    "How it ended": "采集结果",
    "Comments": "评论",
    "Reported": "平台所报",
    "Missing": "缺少",
    "Replies": "回复",
    "Replies missing": "缺少回复",
    "First comment": "最早评论",
    "Last comment": "最新评论",
    "Last crawled": "最近采集",
    "Calls": "调用",
    "Cost": "费用",
    "not finished": "未完成",
    "not crawled": "尚未采集",
    "read to the end, not all were shown": "已读完，平台未全部展示",
    "complete, replies missing": "评论已读完，回复未读全",
    # Time
    "Comments over time": "评论的时间分布",
    "No comment has a time.": "评论都没有时间。",
    "Comments an hour": "每小时评论数",
    "Comments a day": "每天评论数",
    "Comments a week, by the day it begins": "每周评论数（按周一的日期）",
    "Comments a month": "每月评论数",
    "Comments a year": "每年评论数",
    "with an hour that stands out": "含异常活跃的小时",
    "Hours that stand out": "异常活跃的小时",
    "No hour stands out.": "没有异常活跃的小时。",
    "Hour from": "小时（起）",
    "Usual": "平常",
    # Growth
    "First-level comments of a note after each time that it was read.": (
        "每次采集之后，笔记的一级评论数。"
    ),
    "reported": "平台所报",
    "Read": "采集时间",
    "Held": "已采集",
    "New": "新增",
    # Places
    "Where comments come from": "评论来自哪里",
    "{n:,} of {all} state a place, {places} in all.": "{all}中有 {n:,} 条显示属地，共 {places}。",
    "Place": "地点",
    "Bar": "条形",
    "Share": "占比",
    # Most liked
    "Most liked comments": "获赞最多的评论",
    "No comment has likes.": "没有评论获赞。",
    "{n:,} comments have likes. The notes' authors wrote ": "{n:,} 条评论获赞。笔记作者写了 ",
    " of all comments.": " 条评论。",
    "By the notes' authors": "笔记作者的评论",
    # Words
    "Words and emoji": "用词和表情",
    "Emoji and emoji codes": "表情和表情代码",
    "Word": "词",
    "Emoji": "表情",
    # Questions
    "No comment asks.": "没有提问。",
    "Answered by the author": "作者已答",
    "Not answered by the author": "作者未答",
    "Not known": "无法判断",
    "Questions: ": "提问：",
    ", {share} of the comments with a text.": "，占有文字的评论的 {share}。",
    "Most liked questions that the author has not answered": "作者未答、获赞最多的提问",
    # Same text
    "The same text by several people": "多人发表的相同文字",
    "None was found.": "没有发现。",
    "The same text": "相同文字",
    "{n} by two people or more.": "{n}由两人或更多人发表。",
    "Text": "文字",
    "People": "人数",
    # Two groups
    "Two groups of notes": "两组笔记对比",
    "B: the notes of the list that was given. A: the other notes of this page.": (
        "B 组：所给清单中的笔记。A 组：本页其余笔记。"
    ),
    "Figure": "指标",
    "Group {name}": "{name} 组",
    "In {name}": "{name} 组中",
    "Notes": "笔记",
    "Comments a note (median)": "每篇评论数（中位数）",
    "Likes a comment": "每条评论获赞",
    "Questions of the comments with a text": "提问占有文字的评论",
    "Answered by the author, of those of which it is known": "作者已答（占可判断的提问）",
    "No comment states a place.": "没有评论显示属地。",
    "Words that one group uses more": "一组更常用的词",
    "Emoji that one group uses more": "一组更常用的表情",
    # Comments
    "no time": "无时间",
    "reply": "回复",
    "by the author": "作者",
    "with a picture": "有图片",
    "vanished": "已消失",
    "no name": "无昵称",
    "no text": "（无文字）",
    "Note ↗": "笔记 ↗",
}
"""Chinese texts by their English forms."""
