/* SPDX-License-Identifier: MIT */
/* An extension of Python, by its C API, that keeps what it is told, for ever. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdlib.h>
#include <string.h>

struct record {
  char *text;
  struct record *next;
};
static struct record *all;

static struct record *new_record(const char *text)
{
  struct record *record = malloc(sizeof *record);
  if (record == NULL)
    return NULL;
  record->text = strdup(text);
  record->next = all;
  return record;
}

static PyObject *tally_add(PyObject *module, PyObject *arguments)
{
  const char *text;
  (void)module;
  if (!PyArg_ParseTuple(arguments, "s", &text))
    return NULL;
  struct record *record = new_record(text);
  if (record == NULL)
    return PyErr_NoMemory();
  all = record;
  Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"add", tally_add, METH_VARARGS, "Keeps a text."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "tally", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_tally(void)
{
  return PyModule_Create(&definition);
}
