// Tensors in pieces: rows stay in place, columns are put together or listed, vectors must be copies.
#include "models/merge_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/model_session.h"

namespace puna::models {
namespace {

using formats::FoundTensor;
using formats::ModelFile;
using support::must;

std::vector<std::byte> bytes_of(const std::string& text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

std::string text_of(const FoundTensor& tensor) {
    std::string text;
    for (const formats::TensorPart& part : must(tensor.parts_in_order()))
        text.append(reinterpret_cast<const char*>(part.data.data()), part.data.size());
    return text;
}

/// Elements are bytes: a letter says which file and row they are from, and how many columns there are.
FoundTensor tensor(const std::string& name, std::vector<std::uint64_t> shape, const std::vector<std::string>& files) {
    FoundTensor found = {.name = name, .type = quant::TensorType::U8, .shape = std::move(shape), .parts = {}};
    for (const std::string& file : files) {
        const auto memory = std::make_shared<const std::vector<std::byte>>(bytes_of(file));
        found.parts.push_back({*memory, nullptr, memory});
    }
    found.unmerged = true;
    return found;
}

std::shared_ptr<ModelFile> model() {
    auto file = std::make_shared<ModelFile>();
    file->tensors.push_back(tensor("rows", {2, 3}, {"aaabbb", "cccddd"}));
    file->tensors.push_back(tensor("columns", {2, 3}, {"aaabbb", "cccddd"}));
    file->tensors.push_back(tensor("vector", {4}, {"same", "same"}));
    file->index_tensors();
    return file;
}

Cut cut_of(const ModelFile&, const FoundTensor& tensor) {
    return tensor.name == "columns" ? Cut::columns : Cut::rows;
}

TEST(MergeParts, RowsStayInPlaceAndColumnsArePutTogether) {
    const auto source = model();
    const MergedFile merged = must(merge_parts(source, cut_of, SplitRows::assembled));
    const FoundTensor& rows = *merged.file->find_tensor("rows");
    EXPECT_EQ(rows.shape, (std::vector<std::uint64_t>{4, 3}));
    ASSERT_EQ(rows.parts.size(), 2U);
    EXPECT_EQ(rows.parts[1].data.data(), source->tensors[0].parts[1].data.data());
    EXPECT_FALSE(rows.unmerged);
    const FoundTensor& columns = *merged.file->find_tensor("columns");
    EXPECT_EQ(columns.shape, (std::vector<std::uint64_t>{2, 6}));
    ASSERT_EQ(columns.parts.size(), 1U);
    EXPECT_EQ(text_of(columns), "aaacccbbbddd");
    EXPECT_EQ(columns.elements(), 12U);
    const FoundTensor& vector = *merged.file->find_tensor("vector");
    EXPECT_EQ(text_of(vector), "same");
    EXPECT_EQ(vector.elements(), 4U);
    EXPECT_EQ(merged.assembled_bytes, 12U);
}

TEST(MergeParts, PiecesOfRowsMayStayWhereTheyAre) {
    const auto source = model();
    const MergedFile merged = must(merge_parts(source, cut_of, SplitRows::in_pieces));
    const FoundTensor& columns = *merged.file->find_tensor("columns");
    EXPECT_EQ(columns.parts.size(), 2U);  // no list of pieces is kept
    EXPECT_FALSE(columns.in_order());
    const auto pieces = must(columns.parts_in_order());
    ASSERT_EQ(pieces.size(), 4U);
    EXPECT_EQ(text_of(columns), "aaacccbbbddd");
    EXPECT_EQ(pieces[2].data.data(), source->tensors[1].parts[0].data.data() + 3);
    EXPECT_EQ(columns.bytes(), 12U);
    EXPECT_EQ(merged.assembled_bytes, 0U);
}

/// Of a file whose tensors are transposed.
TEST(MergeParts, ViewsArePutInOrderToComputeWithAndElseWhereTheyAreRead) {
    const auto transpose = [](FoundTensor found) {
        const bool vector = found.shape.size() == 1;
        for (formats::TensorPart& part : found.parts) {
            part.view = std::make_shared<const formats::StridedView>(formats::StridedView{
                found.shape, vector ? std::vector<std::uint64_t>{1} : std::vector<std::uint64_t>{1, 2}, 1});
        }
        return found;
    };
    auto source = std::make_shared<ModelFile>();
    source->tensors.push_back(transpose(tensor("rows", {2, 3}, {"ababab", "cdcdcd"})));
    source->tensors.push_back(transpose(tensor("columns", {2, 3}, {"ababab", "cdcdcd"})));
    source->tensors.push_back(transpose(tensor("vector", {4}, {"same", "same"})));
    source->tensors.push_back(transpose(tensor("whole", {2, 3}, {"xyxyxy"})));
    source->tensors.back().unmerged = false;
    source->index_tensors();
    for (const SplitRows split_rows : {SplitRows::assembled, SplitRows::in_pieces}) {
        const MergedFile merged = must(merge_parts(source, cut_of, split_rows));
        for (const FoundTensor& found : merged.file->tensors)
            EXPECT_EQ(found.in_order(), split_rows == SplitRows::assembled) << found.name;
        EXPECT_EQ(text_of(*merged.file->find_tensor("rows")), "aaabbbcccddd");
        EXPECT_EQ(text_of(*merged.file->find_tensor("columns")), "aaacccbbbddd");
        EXPECT_EQ(text_of(*merged.file->find_tensor("vector")), "same");
        EXPECT_EQ(text_of(*merged.file->find_tensor("whole")), "xxxyyy");
        EXPECT_EQ(merged.assembled_bytes, split_rows == SplitRows::assembled ? 34U : 0U);
    }
}

TEST(MergeParts, WholeFilesAreGivenBackAsTheyAre) {
    const auto source = model();
    for (FoundTensor& found : source->tensors)
        found.unmerged = false;
    EXPECT_EQ(must(merge_parts(source, cut_of, SplitRows::assembled)).file, source);
}

TEST(MergeParts, CopiesThatDifferAndOtherShapesAreErrors) {
    for (const FoundTensor& bad :
         {tensor("vector", {4}, {"same", "else"}), tensor("cube", {1, 2, 2}, {"abcd", "efgh"})}) {
        const auto source = model();
        source->tensors.push_back(bad);
        const auto merged = merge_parts(source, cut_of, SplitRows::assembled);
        ASSERT_FALSE(merged.ok());
        EXPECT_EQ(merged.error().code, ErrorCode::file_malformed);
        EXPECT_THAT(merged.error().message, testing::HasSubstr("tensor '" + bad.name + "'"));
    }
}

}  // namespace
}  // namespace puna::models
