/* report_html.c - one self-contained page from a record: the frame, the style, the file. */
#include "base/io.h"
#include "work/plot.h"
#include "work/report.h"

/* In pieces, since a compiler need not take a longer string than 4,095 bytes. */
static const char *const style[] = {
    ":root{color-scheme:light dark;--bg:#fff;--ink:#1b1f27;--muted:#5d6675;--rule:#dde1e8;"
    "--soft:#f5f6f8;--over:196,86,20;--under:0,104,170}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--bg:#14171c;--ink:#e7eaf0;"
    "--muted:#9aa4b2;--rule:#333a45;--soft:#1c2027;--over:240,140,74;--under:91,179,234}}\n"
    "*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}\n"
    "body{margin:0 auto;max-width:60rem;padding:2.5rem 1.25rem 4rem;background:var(--bg);"
    "color:var(--ink);font:1.0625rem/1.6 system-ui,-apple-system,\"Segoe UI\",Roboto,"
    "\"Noto Sans\",\"DejaVu Sans\",sans-serif}\n"
    "h1{font-size:clamp(1.7rem,5vw,2.5rem);line-height:1.15;letter-spacing:-.015em;"
    "margin:.2rem 0 1rem}\n"
    "h2{font-size:1.35rem;line-height:1.3;margin:3.2rem 0 .8rem;padding-top:1rem;"
    "border-top:1px solid var(--rule)}\n"
    "h3{font-size:1rem;margin:1.4rem 0 .5rem}h3 small{font-weight:400;margin-left:.3rem}\n"
    "p,ol.steps,dl.findings,dl.terms{max-width:44rem}small{color:var(--muted);font-size:.82em}\n"
    ".brand{margin:0;color:var(--muted);letter-spacing:.12em;font-size:.85rem}\n"
    ".lead{font-size:1.2rem;line-height:1.5;margin:0 0 1.4rem}\n"
    ".facts{display:flex;flex-wrap:wrap;gap:.6rem 2rem;list-style:none;margin:0;padding:0;"
    "color:var(--muted);font-size:.95rem}.facts b{color:var(--ink);font-size:1.2rem;"
    "font-variant-numeric:tabular-nums}\n"
    "ol.steps{padding-left:1.3rem}ol.steps li{margin:.35rem 0}\n"
    ".chip{display:inline-block;width:.7em;height:.7em;border-radius:2px;margin:0 .35em 0 .1em;"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}\n"
    ".chip.f0{background:var(--c0)}.chip.f1{background:var(--c1)}.chip.f2{background:var(--c2)}"
    ".chip.f3{background:var(--c3)}.chip.f4{background:var(--c4)}.chip.f5{background:var(--c5)}"
    ".chip.f6{background:var(--c6)}.chip.f7{background:var(--c7)}\n",
    ".examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(4rem,1fr));"
    "gap:.6rem}.examples figure{margin:0;min-width:0}"
    ".examples img{display:block;width:100%;height:auto;image-rendering:pixelated;"
    "border-radius:3px;background:#000}.examples figcaption{font-size:.72rem;line-height:1.25;"
    "color:var(--muted);margin-top:.25rem;overflow-wrap:anywhere}.examples small{display:block;"
    "font-size:1em;font-variant-numeric:tabular-nums;opacity:.85}\n"
    ".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));"
    "gap:1.6rem 2.2rem;margin:1.6rem 0}figure.plot{margin:0;min-width:0}"
    "figure.plot h3{margin:0 0 .6rem}figure.plot figcaption{color:var(--muted);font-size:.85rem;"
    "line-height:1.45;margin-top:.5rem}\n"
    ".findings dt{font-weight:600;margin-top:1.2rem}.findings dd{margin:.15rem 0 0}"
    ".findings dd b{font-weight:600}.findings small{display:block;line-height:1.5}"
    ".findings small b{font-weight:500}\n"
    ".terms{display:grid;grid-template-columns:minmax(7rem,11rem) 1fr;gap:.35rem 1.2rem;"
    "font-size:.95rem}.terms dt{font-weight:600}.terms dd{margin:0;overflow-wrap:anywhere}\n"
    "figure.table{margin:1.4rem 0 "
    "2.2rem}.scroll{overflow-x:auto}.part{white-space:nowrap}table{border-collapse:collapse;width:"
    "100%;"
    "font-size:.93rem;line-height:1.3;font-variant-numeric:tabular-nums}"
    ".table figcaption{color:var(--muted);font-size:.88rem;line-height:1.45;"
    "padding-bottom:.6rem}\n"
    "th,td{padding:.5rem .6rem;border-bottom:1px solid var(--rule);text-align:right;"
    "vertical-align:top}th:first-child{text-align:left;padding-left:.2rem;position:sticky;left:0;"
    "background:var(--bg);min-width:8.5rem}thead th{font-weight:600;vertical-align:bottom;"
    "border-bottom:1.5px solid var(--muted)}tbody th{font-weight:600}"
    "td small,th small{display:block;font-weight:400}tr.ref th{font-weight:400}"
    "tr.target td,tr.target th{border-bottom:1.5px solid var(--muted)}\n"
    ".o1{background:rgba(var(--over),.1)}.o2{background:rgba(var(--over),.22)}"
    ".o3{background:rgba(var(--over),.36)}.u1{background:rgba(var(--under),.1)}"
    ".u2{background:rgba(var(--under),.22)}.u3{background:rgba(var(--under),.36)}"
    "td.o2 small,td.o3 small,td.u2 small,td.u3 small{color:inherit}"
    ".key{padding:0 .3em;border-radius:2px;color:var(--ink)}\n"
    "code,pre{font-family:ui-monospace,SFMono-Regular,Menlo,\"DejaVu Sans Mono\",monospace;"
    "font-size:.88em}pre{overflow-x:auto;background:var(--soft);border:1px solid var(--rule);"
    "border-radius:6px;padding:.9rem 1rem;line-height:1.5}\n"
    "@media(max-width:36rem){body{font-size:1rem;padding:1.4rem 1rem 3rem}.lead{font-size:1.08rem}"
    "h2{margin-top:2.4rem}th,td{padding:.45rem .4rem}th:first-child{min-width:7.2rem;"
    "max-width:8.2rem}.terms{grid-template-columns:1fr;gap:0}.terms dd{margin-bottom:.6rem}"
    ".examples{grid-template-columns:repeat(auto-fill,minmax(3.2rem,1fr))}}\n"
    "@media print{body{max-width:none;padding:0;font-size:10pt}h2,h3,dt{break-after:avoid}"
    "figure,tr,dd,pre{break-inside:avoid}.scroll{overflow:visible}.figures{grid-template-columns:"
    "1fr 1fr}pre{white-space:pre-wrap}td{print-color-adjust:exact;"
    "-webkit-print-color-adjust:exact}h2{margin-top:1.6rem}}\n"
};

static void page(struct ob_str *out, const struct ob_record *r)
{
    ob_str_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                    "<title>oubli: how to make a trained network forget</title>\n<style>\n");
    for (size_t i = 0; i < sizeof(style) / sizeof(style[0]); i++)
        ob_str_add(out, style[i]);
    ob_str_add(out, ob_plot_css());
    ob_str_add(out, "</style>\n</head>\n<body>\n");
    obi_report_demo(out, r);
    ob_str_add(out, "</body>\n</html>\n");
}

int ob_report_html(const char *json_path, const char *html_path, struct ob_err *err)
{
    struct ob_record record;
    struct ob_str text = { 0 };
    int rc;

    OB_GO(obi_record_read(&record, json_path, err));
    page(&text, &record);
    OB_GO(ob_str_check(&text, err));
    OB_GO(ob_file_write(html_path, text.s, text.n, err));
out:
    ob_str_release(&text);
    obi_record_release(&record);
    return rc;
}
