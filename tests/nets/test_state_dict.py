"""Weights files of PyTorch: both formats, as PyTorch 2.13 wrote them, and what is kept out."""

import base64
import io
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from gan_mtl.nets.state_dict import read_state_dict

# torch.save({"a.weight": a.T, "row": a[1], "count": tensor(7), "half": tensor([0.5]).half()}) with
# a = arange(6.0).reshape(2, 3), as an archive and in the format before it.
ARCHIVE = (
    "c-pO%J#W)c6ozl&#z_sNAAF=OP(FuLDrw@ni3^kz3z;G#kp=+~1Cg7!v4tD=I5(}Rgj5N&Qa9L`5Ho*(|G)+"
    "V3rsK+CRRr7wbRsgl?GZYUt6;8`<}=5o^xDKm>z^;F|_CCM}tVUE4s0wO;lB^rk0<YvJ^*;eaCwEIiO^T>eb"
    "Y$X4G^Hp$fK$Fja11!)$P6TU%%vX0?p9dc(5ID?A6`WU>?`ng*Gv)-+&T2`8JDitoD*Ip`^c$ec7pN({MImY"
    "cvTEQaX3f)qvxZ$eB7Da<DHZdEFlX=)X0SoH>X&#r2=R=s6ZFbCXN5sqLuT7+Yci*2n!Tqp5$M(@!hy5rb4P"
    "yCn-=vP7;FtDXl(IAH7ML1E4(9l-1j^U&$YoXq?>a{lMDTg!z3E~&RFhmH)#$2Ca3?oH2T_Vejbk$shGd`O+"
    "@~CZd*0JGX)U`QBKa>!ir<V(^-9-$Sig3A^Dk#y|`|RAeH6o#-&~Yad=w^E-Q;U|pq~h|5W;e)U$<j<<L;vx"
    "}I2gaazM$ZAbjBD#xm}Fb#+OyosMVLWI+mr$gOFqe3XorgpJ5Uryf452%C`X)o?*?Rc_K^K4zmKLfw8GkhK-"
    "r;!z_uy?#mEIH+)q!k(Q;ahX8P0*Yo5uOHMM@$#^?Ui4rfjUk#BLLtTi*{X`jAO8zxbwB<tMEq~s&Xn<Ikc-"
    "Q^$cv%t;yaGt1k=1u!jPCp2=c$ALmH(3*jsNjY?LqhWqln)v0O!*inr)B@SW{`^DjQW<O8p~FS`?-QQ51#Tb"
    "apB&h`GtBbS9VMc|pib(>MH-m=!WSrF?Yf^^+vwNIH}u3ft!Nc9Q-*<iY>I9<`?dBz(#bA=Ih&1Wmj}JmNE%"
    "52JlLN6^Pxhyy;KPadCk0|?5!RTKBgA2KLVyFsnD0{q$^L2V|e_2#f&OMe~yiV14H`Pb+FWRJGPx_i@N)F&="
    "RP?v-)C@ed^litjgwz4;Hza4h(zau;Cf^|AazQy4FIU=m9>2>D2bN>L`-sy}"
)
STREAM = (
    "c-n1|OHbQC5XWt=lhAFU^bLK|my}$hGz2iGa;Q+H?F)19rLtUSo84;V&8*j;Rzk`JRQefu=#j6+M?mVK<2XT"
    "$6w5odXUD(!|7S<uFRK3j-o04+cJ^ttJ@Ve46O2dTG^1t5afU`)ooW>yaFa`&fr|yvBJL<@t>Q7y`ZCGD`x#"
    "M8+V4Xi=kf>7fgFL~jB1$7g*Fyy%!>$q$;?8X`H^2TbT)tn^NV8Ia{;qS`;g0lu;8Xvn^d&p!b+9X*zhlfRQ"
    "=fUEY~JJ=u+^S&8SiKz{+I6fmFZHU8NJdUnME{(Gu2d_kxYh&8_uUTfJVV1GTZ7bXcIA`UeY*J?1dNyc1YpE"
    "+Z#!<upa-il-Kh=k%lLbHn>@WNInURtQ%uTnk}wj4}EUmISI1M9l4WT~u9`_pk>!h8xU1hMT9N1l_W5JA^yq"
    "VWqmj0o|=o6Ep8{OqX8n&Cu67-Hq)otRUS*`YL*8wJPd;3lBngI3Bb})K_>k1AU9BOX%YnXg3IYK?j~ppljt"
    "|Q0>z)JgeZ(ExZWfWqEF&%X6FK*qz7p=BX#VU3dP!Mz1mK;Eij9>(7om-3q2}jmh&LMBuQv"
)


def content(text):
    return zlib.decompress(base64.b85decode(text))


@pytest.mark.parametrize("text", [ARCHIVE, STREAM], ids=["archive", "stream"])
def test_tensors_by_name(text):
    """Strided, a slice of a shared storage, a scalar, and another type."""
    found = read_state_dict(content(text))
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = {
        "a.weight": a.T,
        "row": a[1],
        "count": np.array(7),
        "half": np.array([0.5], np.float16),
    }
    assert list(found) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


class Malicious:
    def __reduce__(self):
        return eval, ("1 / 0",)


def archive_of(thing):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(thing, protocol=2))
    return file.getvalue()


@pytest.mark.parametrize("data", [pickle.dumps(Malicious()), archive_of({"a": Malicious()})])
def test_code_is_not_run(data):
    with pytest.raises(ValueError, match=r"builtin.*\.eval is no part of a state dict"):
        read_state_dict(data)


def test_other_files_are_refused():
    with pytest.raises(ValueError, match=r"expected tensors by name, found list"):
        read_state_dict(archive_of([1]))
    with pytest.raises(ValueError, match=r"expected a tensor at 'a', found int"):
        read_state_dict(archive_of({"a": 1}))
    with pytest.raises(ValueError, match=r"it begins with 3"):
        read_state_dict(pickle.dumps(3))
    with pytest.raises(ValueError, match=r"neither format of torch\.save"):
        read_state_dict(b"\x89PNG not weights")
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("a.npy", b"")
    with pytest.raises(ValueError, match=r"one data\.pkl, found \['a\.npy'\]"):
        read_state_dict(file.getvalue())


def test_tensors_do_not_reach_beyond_their_storage():
    """The same archive with the storages cut short."""
    whole, file = zipfile.ZipFile(io.BytesIO(content(ARCHIVE))), io.BytesIO()
    with whole, zipfile.ZipFile(file, "w") as cut:
        for name in whole.namelist():
            cut.writestr(name, whole.read(name)[: 20 if "/data/" in name else None])
    with pytest.raises(ValueError, match=r"'a\.weight' reaches beyond its storage of 5 values"):
        read_state_dict(file.getvalue())
