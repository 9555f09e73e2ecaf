"""Write the Word templates of the bulletin and the feedback letter: run it again after changing what they say.

    python scripts/write_report_templates.py [FOLDER]

A clerk may edit a template in Word instead and put it into HOME/templates/ under the same name; the words in double
braces are filled in (``phqc_pipeline/reports/documents.py`` says which there are).
"""

from __future__ import annotations

import sys
from pathlib import Path

from docx import Document
from docx.document import Document as Doc
from docx.enum.table import WD_TABLE_ALIGNMENT
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Cm, Pt
from docx.text.paragraph import Paragraph

FOLDER = Path(__file__).resolve().parent.parent / "phqc_pipeline" / "reports" / "templates"
RULE = "{{ loop.index }}. {{ rule.title }}（{{ rule.severity }}，{{ rule.form_title }}）"
TITLE_FONT, HEAD_FONT, TEXT_FONT = "方正小标宋简体", "黑体", "仿宋"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    bulletin().save(str(folder / "通报.docx"))
    letter().save(str(folder / "反馈函.docx"))


def bulletin() -> Doc:
    """通报: to all institutions, from the commission; no resident and no doctor is named."""
    doc = _document()
    _title(doc, "关于基本公共卫生服务数据质量情况的通报")
    _plain(doc, "各有关单位：")
    _text(
        doc,
        "按照基本公共卫生服务质量控制工作安排，现将截至{{ date }}的数据质量情况通报如下。",
    )
    _head(doc, "一、总体情况")
    _text(
        doc,
        "本次共质控{{ institutions }}家机构的{{ records }}条记录，记录合格率{{ pass_rate }}，平均得分{{ score }}分。"
        "现有待整改问题{{ findings }}个，其中严重{{ severe }}个、一般{{ ordinary }}个、提示{{ hint }}个；"
        "累计已整改{{ fixed }}个，反复出现{{ reopened }}个。{{ trend }}",
    )
    _text(
        doc,
        "各机构情况见附表。{% if best %}得分居前的是{{ best }}；得分靠后的是{{ last }}。{% endif %}",
    )
    _head(doc, "二、主要问题")
    _text(doc, "{%p for rule in rules %}")
    _text(
        doc,
        f"{RULE}：{{{{ rule.findings }}}}个，涉及{{{{ rule.institutions }}}}家机构。",
    )
    _text(doc, "{%p endfor %}")
    _head(doc, "三、报表与档案核对")
    _text(doc, "{{ reconciliation }}")
    _head(doc, "四、工作要求")
    _text(doc, "（一）各机构按《整改清单》逐条核对、在源系统改正，10个工作日内完成严重问题的整改，并交回填好的清单。")
    _text(doc, "（二）对记录没有错的，在清单“处理说明”里写明理由申诉；暂时不能整改的，说明原因和完成时间。")
    _text(doc, "（三）同一问题反复出现的，查找原因，规范填写和录入，防止再次发生。")
    _close(doc)
    _plain(doc, "附表：各机构数据质量情况")
    _table(
        doc,
        "row in rows",
        [
            ("名次", "{{ row.rank }}", 1.2),
            ("机构", "{{ row.name }}", 5.2),
            ("记录数", "{{ row.records }}", 1.8),
            ("得分", "{{ row.score }}", 1.5),
            ("合格率", "{{ row.pass_rate }}", 1.8),
            ("待整改", "{{ row.findings }}", 1.8),
            ("其中严重", "{{ row.severe }}", 1.8),
        ],
    )
    return doc


def letter() -> Doc:
    """反馈函: to one institution, with its own figures."""
    doc = _document()
    _title(doc, "基本公共卫生服务数据质量反馈函")
    _plain(doc, "{{ institution }}：")
    _text(
        doc,
        "你单位截至{{ date }}的基本公共卫生服务数据已完成质控，现将结果反馈如下，请据此整改。",
    )
    _head(doc, "一、质控结果")
    _text(
        doc,
        "参加质控的记录{{ records }}条，合格率{{ pass_rate }}，得分{{ score }}分{{ place }}。"
        "现有待整改问题{{ findings }}个，其中严重{{ severe }}个、一般{{ ordinary }}个、提示{{ hint }}个；"
        "已整改{{ fixed }}个，反复出现{{ reopened }}个。{{ trend }}",
    )
    _table(
        doc,
        "row in rows",
        [("表单", "{{ row.title }}", 6.2), ("记录数", "{{ row.records }}", 1.8), ("得分", "{{ row.score }}", 1.5),
         ("合格率", "{{ row.pass_rate }}", 1.9), ("严重", "{{ row.severe }}", 1.3), ("一般", "{{ row.ordinary }}", 1.3),
         ("提示", "{{ row.hint }}", 1.3)],
    )  # fmt: skip
    _head(doc, "二、主要问题")
    _text(doc, "{%p for rule in rules %}")
    _text(
        doc,
        f"{RULE}：{{{{ rule.findings }}}}个。依据：{{{{ rule.basis }}}}。",
    )
    _text(doc, "{%p endfor %}")
    _head(doc, "三、报表与档案核对")
    _text(doc, "{{ reconciliation }}")
    _head(doc, "四、整改要求")
    _text(
        doc,
        "请按所附《整改清单》逐条核对，在源系统改正后随下次导出一并报来，"
        "并在10个工作日内交回填写了“处理结果”和“处理说明”的清单。"
        "{% if corrections %}其中{{ corrections }}处可以确定正确内容的，已列入建议更正文件，"
        "核对后可由平台导入。{% endif %}"
        "{% if not_judged %}另有{{ not_judged }}条规则因缺列、缺名单或没有收到表而未能判定，请补齐。{% endif %}",
    )
    _plain(doc, "附件：整改清单、质控报告{% if corrections %}、建议更正文件{% endif %}")
    _close(doc)
    return doc


def _document() -> Doc:
    """A4 with the margins and the text size of an official document."""
    doc = Document()
    page = doc.sections[0]
    page.page_width, page.page_height = Cm(21), Cm(29.7)
    page.top_margin, page.bottom_margin, page.left_margin, page.right_margin = Cm(3.2), Cm(2.8), Cm(2.7), Cm(2.6)
    style = doc.styles["Normal"]
    style.font.size = Pt(15)
    _font(style, TEXT_FONT)
    style.paragraph_format.line_spacing = Pt(28)
    style.paragraph_format.space_after = Pt(0)
    _page_number(page.footer.paragraphs[0])
    return doc


def _font(thing: object, name: str) -> None:
    thing.font.name = name  # type: ignore[attr-defined]
    thing.element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), name)  # type: ignore[attr-defined]


def _title(doc: Doc, text: str) -> None:
    paragraph = doc.add_paragraph()
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    paragraph.paragraph_format.space_after = Pt(18)
    paragraph.paragraph_format.line_spacing = Pt(34)
    run = paragraph.add_run(text)
    run.font.size = Pt(22)
    _run_font(run, TITLE_FONT)


def _head(doc: Doc, text: str) -> None:
    paragraph = doc.add_paragraph()
    paragraph.paragraph_format.first_line_indent = Pt(30)
    paragraph.paragraph_format.keep_with_next = True
    _run_font(paragraph.add_run(text), HEAD_FONT)


def _run_font(run: object, name: str) -> None:
    run.font.name = name  # type: ignore[attr-defined]
    run._element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), name)  # type: ignore[attr-defined]


def _text(doc: Doc, text: str) -> Paragraph:
    paragraph = doc.add_paragraph(text)
    paragraph.paragraph_format.first_line_indent = Pt(30)
    return paragraph


def _plain(doc: Doc, text: str) -> Paragraph:
    return doc.add_paragraph(text)


def _close(doc: Doc) -> None:
    """Who signs, and when."""
    for text in ("{{ issuer }}", "{{ issued_on }}"):
        paragraph = doc.add_paragraph(text)
        paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        if text == "{{ issuer }}":
            paragraph.paragraph_format.space_before = Pt(28)


def _table(doc: Doc, loop: str, columns: list[tuple[str, str, float]]) -> None:
    """A table whose middle row is repeated; the rows around it hold the loop's tags and vanish."""
    table = doc.add_table(rows=4, cols=len(columns), style="Table Grid")
    table.alignment = WD_TABLE_ALIGNMENT.CENTER
    table.autofit = False
    repeated = OxmlElement("w:tblHeader")
    table.rows[0]._tr.get_or_add_trPr().append(repeated)
    texts = [
        [title for title, _, _ in columns],
        [f"{{%tr for {loop} %}}", *[""] * (len(columns) - 1)],
        [cell for _, cell, _ in columns],
        ["{%tr endfor %}", *[""] * (len(columns) - 1)],
    ]
    for number, row in enumerate(texts):
        for place, text in enumerate(row):
            cell = table.cell(number, place)
            cell.width = Cm(columns[place][2])
            paragraph = cell.paragraphs[0]
            paragraph.paragraph_format.line_spacing = Pt(18)
            paragraph.alignment = (
                WD_ALIGN_PARAGRAPH.LEFT if columns[place][0] in ("机构", "表单") else WD_ALIGN_PARAGRAPH.CENTER
            )
            run = paragraph.add_run(text)
            run.font.size = Pt(10.5)
            _run_font(run, HEAD_FONT if number == 0 else TEXT_FONT)


def _page_number(paragraph: Paragraph) -> None:
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    run = paragraph.add_run()
    for kind, text in (("begin", None), (None, "PAGE"), ("end", None)):
        part = OxmlElement("w:fldChar" if kind else "w:instrText")
        if kind:
            part.set(qn("w:fldCharType"), kind)
        else:
            part.text = text
        run._r.append(part)
    run.font.size = Pt(10.5)


if __name__ == "__main__":
    main()
